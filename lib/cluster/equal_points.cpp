#include "cluster/equal_points.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <unordered_map>

#include "base/threads.h"
#include "cluster/kernels.h"
#include "cluster/price_search.h"

namespace hardmoe {
namespace {

int64_t sample_points(int64_t rows, int64_t parts) {
  constexpr int64_t least = 16384, a_part = 16;
  return std::min(rows, std::max(least, a_part * parts));
}

float distance(const float* a, const float* b, int64_t depth) {
  return supported_kernels()[0].squared_distance(a, b, depth);
}

/// Hashes points by four sums of their values with random signs, each rounded to steps. Equal
/// points get equal hashes; so do nearly equal points, but for a few.
struct Cells {
  std::vector<float> signs;  ///< 4×D
  float step;

  Cells(int64_t depth, float width, Random random) : step(width) {
    for (int64_t i = 0; i < 4 * depth; ++i) signs.push_back(random.below(2) == 0 ? -1.0F : 1.0F);
  }

  uint64_t of(const float* point, int64_t depth) const {
    uint64_t hash = 0;
    for (int64_t p = 0; p < 4; ++p) {
      double sum = 0;
      const float* sign = signs.data() + p * depth;
      for (int64_t d = 0; d < depth; ++d) sum += double{sign[d] * point[d]};
      const auto cell = static_cast<int64_t>(std::floor(sum / double{step} + 0.37));
      hash = (hash ^ static_cast<uint64_t>(cell)) * 0x9E3779B97F4A7C15U;
      hash ^= hash >> 29U;
    }
    return hash;
  }
};

/// Returns the usual norm of the points: the median, or if that is zero the root mean square.
float usual_norm(MatrixView points) {
  std::vector<double> squares(static_cast<size_t>(points.rows));
  double sum = 0;
  for (int64_t i = 0; i < points.rows; ++i) {
    double& square = squares[static_cast<size_t>(i)];
    for (int64_t d = 0; d < points.cols; ++d) {
      square += double{points.row(i)[d]} * double{points.row(i)[d]};
    }
    sum += square;
  }
  const auto middle = squares.begin() + std::ssize(squares) / 2;
  std::nth_element(squares.begin(), middle, squares.end());
  return static_cast<float>(
      std::sqrt(*middle > 0 ? *middle : sum / static_cast<double>(points.rows)));
}

/// Returns the mean of the rows within `radius` of `point`, which is a better centre for them.
std::vector<float> mean_near(MatrixView sample, const std::vector<int64_t>& rows,
                             const float* point, float radius) {
  std::vector<double> sums(static_cast<size_t>(sample.cols));
  double count = 0;
  for (const int64_t row : rows) {
    if (!(distance(sample.row(row), point, sample.cols) <= radius * radius)) continue;
    add_to_sums(sample.row(row), sample.cols, sums.data());
    ++count;
  }
  std::vector<float> mean;
  for (const double sum : sums) mean.push_back(static_cast<float>(sum / count));
  return mean;
}

/// Returns a group for each cell that holds at least `least` equal points of the sample.
std::vector<EqualPoints> candidates_in(MatrixView sample, const Cells& cells, float radius,
                                       int64_t least) {
  std::vector<uint64_t> cell(static_cast<size_t>(sample.rows));
  parallel_for(sample.rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      cell[static_cast<size_t>(i)] = cells.of(sample.row(i), sample.cols);
    }
  });
  std::unordered_map<uint64_t, std::vector<int64_t>> members;
  std::vector<uint64_t> order;  // cells in the order they were first met
  for (int64_t i = 0; i < sample.rows; ++i) {
    auto& rows = members[cell[static_cast<size_t>(i)]];
    if (rows.empty()) order.push_back(cell[static_cast<size_t>(i)]);
    rows.push_back(i);
  }
  std::vector<EqualPoints> found;
  for (const uint64_t key : order) {
    const auto& rows = members[key];
    if (std::ssize(rows) < least) continue;
    constexpr size_t tried = 8;
    int64_t most = 0, chosen = 0;
    for (size_t t = 0; t < std::min(tried, rows.size()); ++t) {
      const float* point = sample.row(rows[t]);
      const auto count = std::count_if(rows.begin(), rows.end(), [&](int64_t i) {
        return distance(sample.row(i), point, sample.cols) <= radius * radius;
      });
      if (count > most) {
        most = count;
        chosen = rows[t];
      }
    }
    if (most < least) continue;
    const std::vector<float> point = mean_near(sample, rows, sample.row(chosen), radius);
    const bool known = std::any_of(found.begin(), found.end(), [&](const EqualPoints& other) {
      return distance(other.point.data(), point.data(), sample.cols) <= radius * radius;
    });
    if (!known) found.push_back({.point = point});
  }
  return found;
}

/// Calls body(row, group, squared distance) for each point within `radius` of a group, in parallel.
template <class Body>
void for_each_equal(PointStream& points, const std::vector<EqualPoints>& groups, float radius,
                    const Body& body) {
  points.for_each([&](const Points& block, int64_t first) {
    const MatrixView rows = block.view();
    parallel_for(rows.rows, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (size_t g = 0; g < groups.size(); ++g) {
          const float square = distance(rows.row(i), groups[g].point.data(), rows.cols);
          if (!(square <= radius * radius)) continue;
          body(first + i, g, square);
          break;
        }
      }
    });
    return true;
  });
}

void count_all(PointStream& points, std::vector<EqualPoints>& groups, float radius) {
  std::mutex adding;
  for_each_equal(points, groups, radius, [&](int64_t, size_t g, float square) {
    const std::lock_guard lock(adding);
    ++groups[g].count;
    groups[g].radius = std::max(groups[g].radius, std::sqrt(square));
  });
}

/// Returns how many of the groups (largest first) are too large for a part, and sets `most` to the
/// largest size that the remaining parts may have.
size_t too_large(const std::vector<EqualPoints>& groups, int64_t points, int64_t parts,
                 double tolerance, int64_t& most) {
  size_t taken = 0;
  for (;; ++taken) {
    most = SizeRange(static_cast<double>(points) / static_cast<double>(parts), tolerance).most;
    if (taken == groups.size() || groups[taken].count <= most) return taken;
    points -= groups[taken].count;
    --parts;
  }
}

}  // namespace

EqualGroups take_equal_points(const RowSource& source, const Pca* pca, ClusterBackend& backend,
                              const EqualParams& params, RowSet& taken) {
  constexpr int64_t noticed = 8;  // report groups of at least this fraction of a part: 1/8
  EqualGroups all;
  float radius = -1;
  for (int64_t parts = params.parts; parts > 1 && taken.left() > 1;) {
    const RemainingRows rest(source, taken);
    PointStream points(rest, backend, {.pca = pca});
    const int64_t drawn = sample_points(points.rows(), parts);
    const Tensor sample = points.sample(drawn, Random(params.seed, RandomUse::kmeans, 6));
    if (radius < 0) radius = params.nearness * usual_norm(matrix_view(sample));
    const double mean = static_cast<double>(points.rows()) / static_cast<double>(parts);
    int64_t most = SizeRange(mean, params.tolerance).most;
    // A group may be cut by a cell's edge, and may be under-represented in the sample.
    const double share = static_cast<double>(drawn) / static_cast<double>(points.rows());
    const auto least =
        static_cast<int64_t>(std::max(2.0, static_cast<double>(most) * share / (2 * noticed)));
    const Cells cells(points.cols(), std::max(100 * radius, 1e-30F),
                      Random(params.seed, RandomUse::kmeans, 7));
    std::vector<EqualPoints> groups = candidates_in(matrix_view(sample), cells, radius, least);
    if (groups.empty()) break;
    count_all(points, groups, radius);
    std::stable_sort(groups.begin(), groups.end(),
                     [](const EqualPoints& a, const EqualPoints& b) { return a.count > b.count; });
    const size_t large = too_large(groups, points.rows(), parts, params.tolerance, most);
    all.left.assign(groups.begin() + static_cast<int64_t>(large), groups.end());
    std::erase_if(all.left, [&](const EqualPoints& group) { return noticed * group.count < most; });
    groups.resize(large);
    if (groups.empty()) break;
    RowSet more = taken;
    std::mutex adding;
    for_each_equal(points, groups, radius, [&](int64_t row, size_t, float) {
      const int64_t of_source = taken.nth_left(row);
      const std::lock_guard lock(adding);
      more.insert(of_source);
    });
    more.count();
    taken = std::move(more);
    parts -= std::ssize(groups);
    all.taken.insert(all.taken.end(), groups.begin(), groups.end());
  }
  return all;
}

int64_t most_balanced_parts(int64_t points, int64_t equal, double tolerance) {
  auto parts = static_cast<int64_t>(static_cast<double>(points) * (1 + tolerance) /
                                    static_cast<double>(equal)) +
               1;
  while (parts > 1 &&
         SizeRange(static_cast<double>(points) / static_cast<double>(parts), tolerance).most <
             equal) {
    --parts;
  }
  return parts;
}

int64_t equal_points_bytes(int64_t rows, int64_t cols, int64_t parts) {
  return sample_points(rows, parts) * (cols * 4 + 64) + 2 * RowSet::bytes(rows);
}

}  // namespace hardmoe
