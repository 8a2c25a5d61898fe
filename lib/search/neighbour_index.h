// The rows of a matrix that are nearest to others, by cosine distance. Exact, or by inverted lists;
// both by FAISS (Johnson, Douze & Jégou, "Billion-scale similarity search with GPUs", 2017), whose
// headers stay in this room. Not for the share of neighbours that agree: see moe/retrieval.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

/// A row that was found.
struct Neighbour {
  int64_t row = 0;
  double distance = 0;  ///< by cosine_distance()
};

/// Two rows that are near, first < second.
struct NearPair {
  int64_t first = 0, second = 0;
  double distance = 0;  ///< by cosine_distance()
};

/// A nearest-neighbour index of N rows. Results do not depend on the number of threads.
class NeighbourIndex {
 public:
  virtual ~NeighbourIndex() = default;

  /// Returns of each query (M×D at length 1, finite) the `k` nearest rows, nearest first, of equally
  /// near ones the lower first; all N where there are fewer. Throws Error(interrupted) after SIGTERM.
  virtual std::vector<std::vector<Neighbour>> nearest(MatrixView queries, int64_t k) const = 0;

  /// Calls `visit` once for each two rows at most `distance` apart, in an order that is always the
  /// same. Memory is at most some 100 bytes a row, or some 500 MB where that is more, however many
  /// pairs there are. Throws Error(interrupted) after SIGTERM.
  virtual void pairs_within(double distance,
                            const std::function<void(const NearPair&)>& visit) const = 0;
};

/// Returns an index of `rows` (N×D at length 1, by unit_rows()), which must outlive it, that compares
/// each query with all: what float64 finds, ties included.
std::unique_ptr<NeighbourIndex> exact_index(MatrixView rows);

/// Returns an index that compares a query with the rows of the inverted lists nearest to it: 4√N
/// lists (Sivic & Zisserman, "Video Google", 2003) by k-means on a sample of the rows, of which `probed`
/// are read. Rows and pairs may be missed; distances are exact. Keeps a second copy of the rows.
/// `together`: rows of lists that pairs_within() reads at a time, which bounds its memory; it reads
/// those of one row's lists at least.
std::unique_ptr<NeighbourIndex> approximate_index(MatrixView rows, uint64_t seed,
                                                  int64_t probed = 32,
                                                  int64_t together = int64_t{1} << 22);

}  // namespace hardmoe
