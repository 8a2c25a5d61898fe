// What both indexes do with the rows that float32 proposes: measures them again in float64.
#pragma once

#include <span>
#include <vector>

#include "search/neighbour_index.h"

namespace hardmoe {

inline constexpr int64_t most_queries = 256;  ///< searched together

/// How the k nearest of some rows are asked for.
struct CandidateBlock {
  int64_t wanted = 0;   ///< candidates of a query: some beyond the k nearest
  int64_t queries = 0;  ///< together: as many as have 50 MB of candidates, most_queries at most
};
CandidateBlock candidate_block(int64_t k, int64_t rows);

/// Returns by how much an inner product of two unit rows of `cols` values in float32, summed in any
/// order, may differ from 1 − cosine_distance(): twice the bound γ_D (Higham, "Accuracy and Stability
/// of Numerical Algorithms", 2002, §3.1), and the rounding of their lengths.
double product_error(int64_t cols);

/// Returns the k nearest of the candidates to `query`, as NeighbourIndex::nearest() orders them; −1 is
/// no candidate.
std::vector<Neighbour> nearest_of(std::span<const int64_t> candidates, const float* query,
                                  MatrixView rows, int64_t k);

/// Calls `visit` for the pairs of row `first` with those of the candidates that are greater and at
/// most `distance` away, ascending.
void visit_pairs(int64_t first, std::span<const int64_t> candidates, MatrixView rows,
                 double distance, const std::function<void(const NearPair&)>& visit);

}  // namespace hardmoe
