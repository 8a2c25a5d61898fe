#include "cluster/fill_parts.h"

#include <algorithm>
#include <limits>

#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/kernels.h"
#include "cluster/lone_scores.h"

namespace hardmoe {
namespace {

/// The point of a part that is farthest from its centroid.
struct Farthest {
  float square = 0;
  int64_t row = -1;
  void see(float found, int64_t at) {
    if (found > square || (found == square && at < row)) *this = {found, at};
  }
};

std::vector<Farthest> farthest_of(PointStream& points, const KMeansResult& result,
                                  const PartsWanted& wanted) {
  const MatrixView centroids = matrix_view(result.centroids);
  const auto distance = supported_kernels()[0].squared_distance;
  std::vector<Farthest> farthest(result.sizes.size());
  points.for_each([&](const Points& block, int64_t first) {
    const MatrixView rows = block.view();
    std::vector<float> squares(static_cast<size_t>(rows.rows));
    parallel_for(rows.rows, 256, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const uint16_t c = result.assignment[static_cast<size_t>(first + i)];
        squares[static_cast<size_t>(i)] = distance(rows.row(i), centroids.row(c), rows.cols);
      }
    });
    for (int64_t i = 0; i < rows.rows; ++i) {
      const uint16_t c = result.assignment[static_cast<size_t>(first + i)];
      const size_t part = wanted.part_of.empty() ? c : wanted.part_of[c];
      farthest[part].see(squares[static_cast<size_t>(i)], first + i);
    }
    return true;
  });
  return farthest;
}

/// Moves one centroid of each empty part to a far point, while there are such points; returns how
/// many were moved.
int64_t move_empty_parts(const PointStream& points, const std::vector<Farthest>& farthest,
                         const PartsWanted& wanted, KMeansResult& result) {
  std::vector<size_t> donors;
  for (size_t p = 0; p < farthest.size(); ++p) {
    if (result.sizes[p] > 1 && farthest[p].square > 0) donors.push_back(p);
  }
  std::stable_sort(donors.begin(), donors.end(),
                   [&](size_t a, size_t b) { return result.sizes[a] > result.sizes[b]; });
  const int64_t depth = points.cols();
  const auto part_of = [&](int64_t c) {
    return wanted.part_of.empty() ? static_cast<size_t>(c)
                                  : size_t{wanted.part_of[static_cast<size_t>(c)]};
  };
  std::vector<int64_t> sizes = result.sizes;
  size_t donor = 0;
  for (int64_t c = 0; c < result.centroids.size(0) && donor < donors.size(); ++c) {
    if (sizes[part_of(c)] != 0) continue;
    float* centroid = result.centroids.as<float>().data() + c * depth;
    points.read(farthest[donors[donor++]].row, 1, centroid);
    const MatrixView centroids = matrix_view(result.centroids);
    double least = std::numeric_limits<double>::infinity();
    for (int64_t other = 0; other < centroids.rows; ++other) {
      if (other == c || sizes[part_of(other)] == 0) continue;
      const double price = result.prices[static_cast<size_t>(other)];
      least =
          std::min(least, price + exact_squared_distance(centroid, centroids.row(other), depth));
    }
    const double margin = score_margin(centroid, 0, centroids, result.prices);
    result.prices[static_cast<size_t>(c)] = static_cast<float>(least - margin);
    sizes[part_of(c)] = 1;
  }
  return static_cast<int64_t>(donor);
}

}  // namespace

void set_totals(const PassTotals& totals, const PartsWanted& wanted, KMeansResult& result) {
  result.inertia = totals.inertia;
  if (wanted.part_of.empty()) {
    result.sizes = totals.sizes;
  } else {
    result.sizes.assign(static_cast<size_t>(wanted.parts), 0);
    for (size_t c = 0; c < wanted.part_of.size(); ++c) {
      result.sizes[wanted.part_of[c]] += totals.sizes[c];
    }
  }
  result.balanced = wanted.tolerance == 0 || sizes_within(result.sizes, wanted.tolerance);
}

void fill_empty_parts(PointStream& points, const PartsWanted& wanted, KMeansResult& result) {
  const auto empty = [](const KMeansResult& of) {
    return std::count(of.sizes.begin(), of.sizes.end(), int64_t{0});
  };
  for (auto before = empty(result); before > 0;) {
    KMeansResult next = result;
    next.centroids = result.centroids.clone();
    if (move_empty_parts(points, farthest_of(points, next, wanted), wanted, next) == 0) return;
    const PricedCentroids rule{matrix_view(next.centroids), next.prices};
    set_totals(assign_all(points, rule, next.assignment), wanted, next);
    const auto now = empty(next);
    if (now >= before) return;
    before = now;
    result = std::move(next);
  }
}

}  // namespace hardmoe
