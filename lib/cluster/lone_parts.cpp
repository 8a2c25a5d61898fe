#include "cluster/lone_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/kernels.h"
#include "cluster/price_search.h"

namespace hardmoe {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double squared_distance(const float* a, const float* b, int64_t depth) {
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d) {
    const double off = double{a[d]} - double{b[d]};
    sum += off * off;
  }
  return sum;
}

double square(const float* a, int64_t depth) {
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d) sum += double{a[d]} * double{a[d]};
  return sum;
}

/// By how much a score must be less than others for float32 to tell, at points within `radius` of
/// `point`.
double margin_at(const float* point, double radius, MatrixView centroids,
                 std::span<const float> prices) {
  double largest = 0, farthest = 0;
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const double price = prices[static_cast<size_t>(c)];
    largest = std::max(largest, square(centroids.row(c), centroids.cols) + std::abs(price));
    farthest = std::max(farthest, squared_distance(point, centroids.row(c), centroids.cols));
  }
  const double terms = 2 * (std::sqrt(static_cast<double>(centroids.cols)) + 16);
  return terms * 0x1p-24 * (largest + square(point, centroids.cols)) +
         4 * radius * std::sqrt(farthest);
}

/// The least score at a point, of centroids that `counts` says count.
template <class Counts>
double least_score(const float* point, MatrixView centroids, std::span<const float> prices,
                   const Counts& counts) {
  double least = infinity;
  for (int64_t c = 0; c < centroids.rows; ++c) {
    if (!counts(c)) continue;
    const double price = prices[static_cast<size_t>(c)];
    least = std::min(least, price + squared_distance(point, centroids.row(c), centroids.cols));
  }
  return least;
}

/// Sets the prices of the centroids from `first` on, one a group, so that each wins its own points
/// by a little: against those before `first`, and against one another.
void price_groups(std::span<const EqualPoints> groups, MatrixView centroids, int64_t first,
                  std::span<float> prices) {
  const int64_t depth = centroids.cols, count = std::ssize(groups);
  const MatrixView others = centroids.slice(0, first);
  const auto of_others = prices.first(static_cast<size_t>(first));
  const auto apart = [&](size_t point, size_t centroid) {
    return squared_distance(groups[point].point.data(),
                            centroids.row(first + static_cast<int64_t>(centroid)), depth);
  };
  std::vector<double> scores, margins;  // at the groups' own points
  for (const EqualPoints& group : groups) {
    const float* point = group.point.data();
    const double least = least_score(point, others, of_others, [](int64_t) { return true; });
    margins.push_back(margin_at(point, double{group.radius}, centroids.slice(0, first + count),
                                prices.first(static_cast<size_t>(first + count))));
    scores.push_back((std::isfinite(least) ? least : 0) - margins.back());
  }
  for (int64_t round = 0; round < count; ++round) {
    for (size_t j = 0; j < groups.size(); ++j) {
      for (size_t i = 0; i < groups.size(); ++i) {
        if (i == j) continue;
        scores[j] = std::min(scores[j], scores[i] - apart(i, i) + apart(j, i) - margins[j]);
      }
    }
  }
  for (size_t j = 0; j < scores.size(); ++j) {
    prices[static_cast<size_t>(first) + j] = static_cast<float>(scores[j] - apart(j, j));
  }
}

/// Moves the centroids from `first` on, one a group, to where fewest of the others' points go to
/// them. Groups amid the others' points cannot be alone: the best that a rule of centroids can do
/// is a plane through the group, and such a plane has the least beyond it that is at a right angle
/// to the way from most of the nearest part's points, or to some other way.
void turn_away(PointStream& points, std::span<const EqualPoints> groups, int64_t first,
               std::span<const float> prices, Tensor& centroids) {
  constexpr int chances = 64;
  const MatrixView probes = points.probes().view(), all = matrix_view(centroids);
  const int64_t depth = all.cols;
  const auto distance = supported_kernels()[0].squared_distance;
  const auto of_others = prices.first(static_cast<size_t>(first));
  std::vector<float> least(static_cast<size_t>(probes.rows), std::numeric_limits<float>::max());
  parallel_for(probes.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float& score = least[static_cast<size_t>(i)];
      for (int64_t c = 0; c < first; ++c) {
        score = std::min(
            score, distance(probes.row(i), all.row(c), depth) + of_others[static_cast<size_t>(c)]);
      }
    }
  });
  Random random(1, RandomUse::kmeans, 8);
  for (size_t j = 0; j < groups.size(); ++j) {
    const float* point = groups[j].point.data();
    int64_t nearest = 0;
    double score = infinity;
    for (int64_t c = 0; c < first; ++c) {
      const double now =
          of_others[static_cast<size_t>(c)] + squared_distance(point, all.row(c), depth);
      if (now < score) {
        score = now;
        nearest = c;
      }
    }
    const float* centre = all.row(nearest);
    const double way = std::sqrt(squared_distance(point, centre, depth));
    std::vector<float> best(point, point + depth), trial(best);
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (int chance = -2; chance < chances; ++chance) {
      // The group's point itself; near the part's centre, towards the point; or any way.
      double norm = 0;
      for (int64_t d = 0; d < depth; ++d) {
        float& value = trial[static_cast<size_t>(d)];
        value = chance < 0 ? point[d] - centre[d] : random.normal();
        norm += double{value} * double{value};
      }
      const double step = chance == -2 ? 1 : norm > 0 ? 0.1 * way / std::sqrt(norm) : 0;
      for (int64_t d = 0; d < depth; ++d) {
        float& value = trial[static_cast<size_t>(d)];
        value = static_cast<float>(double{centre[d]} + step * double{value});
      }
      const auto price = static_cast<float>(score - squared_distance(point, trial.data(), depth));
      int64_t won = 0;
      for (int64_t i = 0; i < probes.rows; ++i) {
        won += distance(probes.row(i), trial.data(), depth) + price < least[static_cast<size_t>(i)]
                   ? 1
                   : 0;
      }
      if (won >= fewest) continue;
      fewest = won;
      best = trial;
    }
    std::ranges::copy(best,
                      centroids.as<float>().data() + (first + static_cast<int64_t>(j)) * depth);
  }
}

std::vector<int64_t> sizes_of(const PassTotals& totals, const PartsWanted& wanted) {
  if (wanted.part_of.empty()) return totals.sizes;
  std::vector<int64_t> sizes(static_cast<size_t>(wanted.parts));
  for (size_t c = 0; c < wanted.part_of.size(); ++c) {
    sizes[wanted.part_of[c]] += totals.sizes[c];
  }
  return sizes;
}

void finish(const PassTotals& totals, const PartsWanted& wanted, KMeansResult& result) {
  result.inertia = totals.inertia;
  result.sizes = sizes_of(totals, wanted);
  result.balanced = wanted.tolerance == 0 || sizes_within(result.sizes, wanted.tolerance);
}

SizeRange range_about_mean(std::span<const int64_t> sizes, double tolerance) {
  const int64_t sum = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  return {static_cast<double>(sum) / static_cast<double>(sizes.size()), tolerance};
}

/// A part's point that is farthest from its centroid.
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

/// Moves a centroid of each empty part, as far as there are points for them; returns how many.
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
    const double least = least_score(centroid, centroids, result.prices, [&](int64_t other) {
      return other != c && sizes[part_of(other)] != 0;
    });
    const double margin = margin_at(centroid, 0, centroids, result.prices);
    result.prices[static_cast<size_t>(c)] = static_cast<float>(least - margin);
    sizes[part_of(c)] = 1;
  }
  return static_cast<int64_t>(donor);
}

}  // namespace

KMeansResult add_equal_points(PointStream& points, const RowSource& source, const Pca* pca,
                              KMeansResult fit, std::span<const EqualPoints> groups,
                              const PartsWanted& wanted) {
  constexpr int rounds = 14;
  const int64_t depth = points.cols(), fitted = std::ssize(fit.prices), count = std::ssize(groups);
  const int64_t fitted_parts = std::ssize(fit.sizes);
  const int64_t empty = std::max<int64_t>(0, wanted.parts - fitted_parts - count);
  KMeansResult result = std::move(fit);
  Tensor centroids(DType::f32, {fitted + count + empty, depth});
  float* values = centroids.as<float>().data();
  if (fitted > 0) std::copy_n(result.centroids.as<float>().data(), fitted * depth, values);
  for (int64_t j = 0; j < count; ++j) {
    std::copy_n(groups[static_cast<size_t>(j)].point.data(), depth, values + (fitted + j) * depth);
  }
  for (int64_t e = 0; e < empty; ++e)
    std::copy_n(values, depth, values + (fitted + count + e) * depth);
  const MatrixView all = matrix_view(centroids);
  std::vector<uint16_t> assignment = std::move(result.assignment);
  assignment.assign(static_cast<size_t>(points.rows()), UINT16_MAX);

  std::vector<float> prices = std::move(result.prices);
  prices.resize(static_cast<size_t>(all.rows));
  const auto of_fit = std::span(prices).first(static_cast<size_t>(fitted));
  int64_t equal = 0;
  for (const EqualPoints& group : groups) equal += group.count;
  const SizeRange range(static_cast<double>(points.rows() - equal) /
                            static_cast<double>(std::max<int64_t>(1, fitted_parts)),
                        wanted.tolerance);
  std::vector<uint16_t> part_of(wanted.part_of.begin(), wanted.part_of.end());
  for (int64_t c = 0; !part_of.empty() && c < count + empty; ++c) {
    part_of.push_back(static_cast<uint16_t>(fitted_parts + c));
  }
  const PartsWanted complete{wanted.tolerance, part_of, fitted_parts + count + empty};
  // Unequal among themselves, and unlike what they would be with the groups alone.
  std::pair<int64_t, int64_t> least = {std::numeric_limits<int64_t>::max(), 0};
  bool best_is_last = true;
  for (int round = 0; round < rounds; ++round) {
    price_groups(groups, all, fitted, prices);
    double most = 1;
    for (int64_t c = 0; c < fitted + count; ++c) {
      const double price = prices[static_cast<size_t>(c)];
      most = std::max(most, std::abs(price) + 4 * square(all.row(c), depth));
    }
    // Beyond every other's score wherever there is a point.
    for (int64_t e = fitted + count; e < all.rows; ++e) {
      prices[static_cast<size_t>(e)] = static_cast<float>(prices[0] + most);
    }
    const PassTotals totals = assign_all(points, {all, prices}, assignment);
    const std::vector<int64_t> sizes = sizes_of(totals, complete);
    const auto of_others = std::span(sizes).first(static_cast<size_t>(fitted_parts));
    const int64_t excess = range.excess(of_others);
    const int64_t unequal =
        excess > 0 ? range_about_mean(of_others, wanted.tolerance).excess(of_others) : 0;
    best_is_last = std::pair(unequal, excess) < least;
    if (best_is_last) {
      least = {unequal, excess};
      result.centroids = centroids.clone();
      result.prices = prices;
      finish(totals, complete, result);
    }
    if (excess == 0 || wanted.tolerance == 0 || round + 1 == rounds) break;
    if (round % 2 == 0) {
      turn_away(points, groups, fitted, of_fit, centroids);
      continue;
    }
    RowSet lone(points.rows());
    for (size_t i = 0; i < assignment.size(); ++i) {
      if (assignment[i] >= fitted) lone.insert(static_cast<int64_t>(i));
    }
    lone.count();
    const RemainingRows rest(source, lone);
    PointStream remaining(rest, points.backend(), {.pca = pca});
    fit_prices(
        remaining, all.slice(0, fitted),
        {.tolerance = wanted.tolerance / 2, .part_of = wanted.part_of, .parts = fitted_parts},
        of_fit);
  }
  if (!best_is_last) {
    assign_all(points, {matrix_view(result.centroids), result.prices}, assignment);
  }
  result.assignment = std::move(assignment);
  return result;
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
    finish(assign_all(points, rule, next.assignment), wanted, next);
    const auto now = empty(next);
    if (now >= before) return;
    before = now;
    result = std::move(next);
  }
}

}  // namespace hardmoe
