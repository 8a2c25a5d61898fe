#include "moe/retrieval.h"

#include <algorithm>

#include "base/error.h"
#include "base/signals.h"
#include "base/threads.h"
#include "cluster/kernels.h"
#include "cluster/unit_rows.h"

namespace hardmoe {
namespace {

/// What one image's neighbours say.
struct Found {
  int64_t relevant = 0;   ///< candidates with its leaf tag; 0: no query
  int64_t retrieved = 0;  ///< of them among the k nearest
  int64_t nearest = 0;    ///< k, or the number of candidates if there are fewer
};

/// The candidates of one image, nearest first.
class Query {
 public:
  Query(std::span<const int32_t> leaf, std::span<const uint16_t> experts, int64_t k)
      : leaf_(leaf), experts_(experts), k_(static_cast<size_t>(k)) {}

  /// `cosines`: N, of the image with all.
  Found find(size_t image, const float* cosines) {
    Found found;
    if (leaf_[image] < 0) return found;
    candidates_.clear();
    for (size_t i = 0; i < leaf_.size(); ++i) {
      if (i == image || (!experts_.empty() && experts_[i] == experts_[image])) continue;
      candidates_.push_back(i);
      found.relevant += leaf_[i] == leaf_[image] ? 1 : 0;
    }
    const size_t count = std::min(k_, candidates_.size());
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<int64_t>(count),
                      candidates_.end(), [&](size_t a, size_t b) {
                        return cosines[a] > cosines[b] || (cosines[a] == cosines[b] && a < b);
                      });
    for (size_t n = 0; n < count; ++n) {
      found.retrieved += leaf_[candidates_[n]] == leaf_[image] ? 1 : 0;
    }
    found.nearest = static_cast<int64_t>(count);
    return found;
  }

 private:
  std::span<const int32_t> leaf_;
  std::span<const uint16_t> experts_;
  size_t k_;
  std::vector<size_t> candidates_;  // scratch
};

Retrieval means_of(const std::vector<Found>& found) {
  Retrieval means;
  for (const Found& f : found) {
    if (f.relevant == 0) continue;
    ++means.queries;
    const auto retrieved = static_cast<double>(f.retrieved);
    means.precision += retrieved / static_cast<double>(f.nearest);
    means.recall += retrieved / static_cast<double>(f.relevant);
    means.hit += f.retrieved > 0 ? 1 : 0;
  }
  const auto queries = static_cast<double>(std::max<int64_t>(means.queries, 1));
  means.precision /= queries;
  means.recall /= queries;
  means.hit /= queries;
  return means;
}

}  // namespace

std::vector<int32_t> leaf_tags(const Split& split, bool truth) {
  split.require_index();
  std::vector<int32_t> leaf;
  for (int64_t i = 0; i < split.size(); ++i) {
    const auto tags = truth ? split.truth(i) : split.tags(i);
    leaf.push_back(tags.empty() ? -1 : tags.back());
  }
  return leaf;
}

Retrieval retrieval(MatrixView features, std::span<const int32_t> leaf, int64_t k,
                    Neighbours neighbours, std::span<const uint16_t> experts) {
  const bool across = neighbours == Neighbours::of_other_experts;
  if (std::ssize(leaf) != features.rows || (across && experts.size() != leaf.size())) {
    fail("retrieval: {} features, {} leaf tags, {} experts", features.rows, leaf.size(),
         experts.size());
  }
  const Tensor unit = unit_rows(features);
  PackedMatrix columns(features.cols, features.rows);
  for (int64_t i = 0; i < features.rows; ++i) {
    columns.set_column(i, unit.as<float>().data() + i * features.cols, 1);
  }
  const std::vector<float> zeros(static_cast<size_t>(columns.padded_columns()));
  std::vector<Found> found(leaf.size());
  constexpr int64_t block = 48;  // a multiple of every tile's rows
  const int64_t blocks = (features.rows + block - 1) / block;
  for (int64_t from = 0; from < blocks; from += 64) {  // interruptible in between
    throw_if_interrupted();
    parallel_for(std::min<int64_t>(64, blocks - from), 1, [&](int64_t begin, int64_t end) {
      std::vector<float> cosines(static_cast<size_t>(block * columns.padded_columns()));
      Query query(leaf, across ? experts : std::span<const uint16_t>(), k);
      for (int64_t b = from + begin; b < from + end; ++b) {
        const int64_t first = b * block, rows = std::min(block, features.rows - first);
        columns.multiply(unit.as<float>().data() + first * features.cols, features.cols, 1, rows,
                         zeros.data(), cosines.data());
        for (int64_t i = 0; i < rows; ++i) {
          found[static_cast<size_t>(first + i)] = query.find(
              static_cast<size_t>(first + i), cosines.data() + i * columns.padded_columns());
        }
      }
    });
  }
  return means_of(found);
}

}  // namespace hardmoe
