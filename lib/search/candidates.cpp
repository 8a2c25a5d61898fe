#include "search/candidates.h"

#include <algorithm>
#include <cmath>

#include "cluster/cosine_distance.h"

namespace hardmoe {

CandidateBlock candidate_block(int64_t k, int64_t rows) {
  constexpr int64_t spare = 16, most = int64_t{1} << 22;
  const int64_t wanted = std::min(k + spare, rows);
  return {wanted, std::clamp<int64_t>(most / wanted, 1, most_queries)};
}

double product_error(int64_t cols) { return static_cast<double>(cols + 8) * std::ldexp(1.0, -23); }

std::vector<Neighbour> nearest_of(std::span<const int64_t> candidates, const float* query,
                                  MatrixView rows, int64_t k) {
  std::vector<Neighbour> found;
  for (const int64_t row : candidates) {
    if (row >= 0) found.push_back({row, cosine_distance(query, rows.row(row), rows.cols)});
  }
  const auto count = std::min<int64_t>(k, std::ssize(found));
  std::partial_sort(found.begin(), found.begin() + count, found.end(),
                    [](const Neighbour& a, const Neighbour& b) {
                      return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
                    });
  found.resize(static_cast<size_t>(count));
  return found;
}

void visit_pairs(int64_t first, std::span<const int64_t> candidates, MatrixView rows,
                 double distance, const std::function<void(const NearPair&)>& visit) {
  std::vector<int64_t> others;
  for (const int64_t row : candidates) {
    if (row > first) others.push_back(row);
  }
  std::ranges::sort(others);
  for (const int64_t row : others) {
    const double found = cosine_distance(rows.row(first), rows.row(row), rows.cols);
    if (found <= distance) visit({first, row, found});
  }
}

}  // namespace hardmoe
