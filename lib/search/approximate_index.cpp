#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/impl/AuxIndexStructures.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/signals.h"
#include "cluster/kmeans.h"
#include "cluster/nearest.h"
#include "cluster/unit_rows.h"
#include "search/candidates.h"

namespace hardmoe {
namespace {

constexpr int64_t sample_a_list = 64;    // rows that k-means takes
constexpr int iterations = 10;           // of it
constexpr int64_t most_lists = 65535;    // kmeans() has no more
constexpr int64_t block_rows = 1 << 16;  // that enter the lists at a time

/// Returns evenly spaced rows, `most` at most.
Tensor sample_of(MatrixView rows, int64_t most) {
  const int64_t count = std::min(most, rows.rows);
  Tensor sample = Tensor::uninitialized(DType::f32, {count, rows.cols});
  float* out = sample.as<float>().data();
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(rows.row(i * rows.rows / count), rows.cols, out + i * rows.cols);
  }
  return sample;
}

Tensor list_centroids(MatrixView rows, uint64_t seed) {
  const auto wanted = static_cast<int64_t>(4 * std::sqrt(static_cast<double>(rows.rows)));
  KMeansParams params;
  params.clusters = std::clamp<int64_t>(wanted, 1, std::min(most_lists, rows.rows));
  params.iterations = iterations;
  params.seed = seed;
  params.start_rule = KMeansStart::random;
  const Tensor sample = sample_of(rows, params.clusters * sample_a_list);
  const Tensor centroids = kmeans(matrix_view(sample), params, [](const KMeansState&) {
                             throw_if_interrupted();
                           }).centroids;
  return unit_rows(matrix_view(centroids));
}

/// The lists are FAISS's; which of them a row and a query belong to is found by our own exact index,
/// so that it depends neither on threads nor on the BLAS library.
class ApproximateIndex final : public NeighbourIndex {
 public:
  ApproximateIndex(MatrixView rows, uint64_t seed, int64_t probed, int64_t together)
      : rows_(rows),
        together_(together),
        error_(product_error(rows.cols)),
        centroids_(list_centroids(rows, seed)),
        list_index_(exact_index(matrix_view(centroids_))),
        probed_(std::min(probed, centroids_.size(0))),
        quantizer_(rows.cols, faiss::METRIC_INNER_PRODUCT),
        lists_(&quantizer_, static_cast<size_t>(rows.cols), static_cast<size_t>(centroids_.size(0)),
               faiss::METRIC_INNER_PRODUCT) {
    lists_.is_trained = true;
    lists_.nprobe = static_cast<size_t>(probed_);
    const CentroidTable table(matrix_view(centroids_));
    std::vector<uint16_t> assigned;
    for (int64_t first = 0; first < rows.rows; first += block_rows) {
      throw_if_interrupted();
      const int64_t count = std::min(block_rows, rows.rows - first);
      assigned.resize(static_cast<size_t>(count));
      assign(rows.slice(first, first + count), table, assigned);
      const std::vector<int64_t> list(assigned.begin(), assigned.end());
      std::vector<int64_t> numbers(list.size());
      std::iota(numbers.begin(), numbers.end(), first);
      lists_.add_core(count, rows.row(first), numbers.data(), list.data());
    }
  }

  std::vector<std::vector<Neighbour>> nearest(MatrixView queries, int64_t k) const override {
    std::vector<std::vector<Neighbour>> found(static_cast<size_t>(queries.rows));
    k = std::min(k, rows_.rows);
    if (k < 1) return found;
    const auto [wanted, together] = candidate_block(k, rows_.rows);
    for_each_block(queries, together, [&](int64_t first, MatrixView block, const Probes& probes) {
      const auto each = static_cast<size_t>(wanted);
      std::vector<int64_t> labels(static_cast<size_t>(block.rows) * each);
      std::vector<float> products(labels.size());
      lists_.search_preassigned(block.rows, block.data, wanted, probes.list.data(),
                                probes.product.data(), products.data(), labels.data(), false);
      for (int64_t i = 0; i < block.rows; ++i) {
        found[static_cast<size_t>(first + i)] = nearest_of(
            {labels.data() + static_cast<size_t>(i) * each, each}, block.row(i), rows_, k);
      }
    });
    return found;
  }

  void pairs_within(double distance,
                    const std::function<void(const NearPair&)>& visit) const override {
    const auto least = static_cast<float>(1 - distance - 2 * error_);
    for_each_block(rows_, most_queries, [&](int64_t first, MatrixView block, const Probes& probes) {
      for (int64_t begin = 0; begin < block.rows;) {
        const int64_t end = end_of_piece(probes, begin, block.rows);
        const MatrixView piece = block.slice(begin, end);
        const auto* lists = probes.list.data() + begin * probed_;
        faiss::RangeSearchResult near(piece.rows);
        lists_.range_search_preassigned(piece.rows, piece.data, least, lists,
                                        probes.product.data() + begin * probed_, &near);
        for (int64_t i = 0; i < piece.rows; ++i) {
          visit_pairs(first + begin + i,
                      {near.labels + near.lims[i], near.lims[i + 1] - near.lims[i]}, rows_,
                      distance, visit);
        }
        begin = end;
      }
    });
  }

 private:
  /// The lists that queries read, `probed_` a query, and the products with their centroids.
  struct Probes {
    std::vector<int64_t> list;
    std::vector<float> product;
  };

  /// Returns the end of the queries from `begin` on whose lists hold together_ rows at most;
  /// one query at least.
  int64_t end_of_piece(const Probes& probes, int64_t begin, int64_t queries) const {
    int64_t rows = 0;
    for (int64_t query = begin; query < queries; ++query) {
      for (int64_t i = query * probed_; i < (query + 1) * probed_; ++i) {
        const auto list = static_cast<size_t>(probes.list[static_cast<size_t>(i)]);
        rows += static_cast<int64_t>(lists_.get_list_size(list));
      }
      if (rows > together_) return std::max(query, begin + 1);
    }
    return queries;
  }

  void for_each_block(
      MatrixView queries, int64_t together,
      const std::function<void(int64_t first, MatrixView block, const Probes&)>& search) const {
    for (int64_t first = 0; first < queries.rows; first += together) {
      throw_if_interrupted();
      const MatrixView block = queries.slice(first, std::min(first + together, queries.rows));
      Probes probes;
      for (const auto& nearest : list_index_->nearest(block, probed_)) {
        for (const Neighbour& centroid : nearest) {
          probes.list.push_back(centroid.row);
          probes.product.push_back(static_cast<float>(1 - centroid.distance));
        }
      }
      search(first, block, probes);
    }
  }

  MatrixView rows_;
  int64_t together_;
  double error_;
  Tensor centroids_;
  std::unique_ptr<NeighbourIndex> list_index_;
  int64_t probed_;
  faiss::IndexFlat quantizer_;  // empty: lists are chosen by list_index_
  faiss::IndexIVFFlat lists_;
};

}  // namespace

std::unique_ptr<NeighbourIndex> approximate_index(MatrixView rows, uint64_t seed, int64_t probed,
                                                  int64_t together) {
  return std::make_unique<ApproximateIndex>(rows, seed, probed, together);
}

}  // namespace hardmoe
