#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/utils/distances.h>

#include <algorithm>

#include "base/signals.h"
#include "base/threads.h"
#include "search/candidates.h"

namespace hardmoe {
namespace {

constexpr int64_t block_rows = 1024, tile_rows = 16384;  // whose pairs are in memory at a time

/// FAISS proposes by float32 products; what is within their rounding of the k-th is asked for, too.
class ExactIndex final : public NeighbourIndex {
 public:
  explicit ExactIndex(MatrixView rows) : rows_(rows), error_(product_error(rows.cols)) {}

  std::vector<std::vector<Neighbour>> nearest(MatrixView queries, int64_t k) const override {
    std::vector<std::vector<Neighbour>> found(static_cast<size_t>(queries.rows));
    k = std::min(k, rows_.rows);
    if (k < 1) return found;
    const auto [wanted, together] = candidate_block(k, rows_.rows);
    for (int64_t first = 0; first < queries.rows; first += together) {
      throw_if_interrupted();
      const int64_t count = std::min(together, queries.rows - first);
      search(queries.slice(first, first + count), k, wanted, found.data() + first);
    }
    return found;
  }

  void pairs_within(double distance,
                    const std::function<void(const NearPair&)>& visit) const override {
    const auto least = static_cast<float>(1 - distance - 2 * error_);
    for (int64_t first = 0; first < rows_.rows; first += block_rows) {
      const int64_t count = std::min(block_rows, rows_.rows - first);
      for (int64_t other = first; other < rows_.rows; other += tile_rows) {
        throw_if_interrupted();
        const int64_t others = std::min(tile_rows, rows_.rows - other);
        faiss::RangeSearchResult near(count);
        faiss::range_search_inner_product(rows_.row(first), rows_.row(other), width(),
                                          static_cast<size_t>(count), static_cast<size_t>(others),
                                          least, &near);
        for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
          const std::span<int64_t> labels(near.labels + near.lims[i],
                                          near.lims[i + 1] - near.lims[i]);
          for (int64_t& row : labels) row += other;
          visit_pairs(first + static_cast<int64_t>(i), labels, rows_, distance, visit);
        }
      }
    }
  }

 private:
  size_t width() const { return static_cast<size_t>(rows_.cols); }

  void search(MatrixView queries, int64_t k, int64_t wanted, std::vector<Neighbour>* found) const {
    const auto each = static_cast<size_t>(wanted), count = static_cast<size_t>(queries.rows);
    std::vector<int64_t> labels(count * each);
    std::vector<float> products(count * each);
    faiss::float_minheap_array_t heaps = {count, each, labels.data(), products.data()};
    faiss::knn_inner_product(queries.data, rows_.data, width(), count,
                             static_cast<size_t>(rows_.rows), &heaps);
    std::vector<char> is_incomplete(count);
    parallel_for(queries.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i) * each;
        found[i] = nearest_of({labels.data() + at, each}, queries.row(i), rows_, k);
        const double last = double{products[at + each - 1]};
        const bool all = wanted == rows_.rows || last < 1 - found[i].back().distance - 2 * error_;
        is_incomplete[static_cast<size_t>(i)] = all ? 0 : 1;
      }
    });
    for (size_t i = 0; i < count; ++i) {
      if (is_incomplete[i] != 0) {
        const auto query = static_cast<int64_t>(i);
        found[i] = search_all(queries.row(query), found[i].back().distance, k);
      }
    }
  }

  /// Returns the k nearest where many rows are as near as the k-th, which is `distance` away.
  std::vector<Neighbour> search_all(const float* query, double distance, int64_t k) const {
    faiss::RangeSearchResult near(1);
    faiss::range_search_inner_product(query, rows_.data, width(), 1,
                                      static_cast<size_t>(rows_.rows),
                                      static_cast<float>(1 - distance - 2 * error_), &near);
    return nearest_of({near.labels, near.lims[1]}, query, rows_, k);
  }

  MatrixView rows_;
  double error_;
};

}  // namespace

std::unique_ptr<NeighbourIndex> exact_index(MatrixView rows) {
  return std::make_unique<ExactIndex>(rows);
}

}  // namespace hardmoe
