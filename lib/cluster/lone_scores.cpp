#include "cluster/lone_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/kernels.h"

namespace hardmoe {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double square(const float* a, int64_t depth) {
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d) sum += double{a[d]} * double{a[d]};
  return sum;
}

/// Returns the least score at a point.
double least_score(const float* point, MatrixView centroids, std::span<const float> prices) {
  double least = infinity;
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const double price = prices[static_cast<size_t>(c)];
    least =
        std::min(least, price + exact_squared_distance(point, centroids.row(c), centroids.cols));
  }
  return least;
}

}  // namespace

double exact_squared_distance(const float* a, const float* b, int64_t depth) {
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d) {
    const double off = double{a[d]} - double{b[d]};
    sum += off * off;
  }
  return sum;
}

double score_margin(const float* point, double radius, MatrixView centroids,
                    std::span<const float> prices) {
  double largest = 0, farthest = 0;
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const double price = prices[static_cast<size_t>(c)];
    largest = std::max(largest, square(centroids.row(c), centroids.cols) + std::abs(price));
    farthest = std::max(farthest, exact_squared_distance(point, centroids.row(c), centroids.cols));
  }
  const double terms = 2 * (std::sqrt(static_cast<double>(centroids.cols)) + 16);
  return terms * 0x1p-24 * (largest + square(point, centroids.cols)) +
         4 * radius * std::sqrt(farthest);
}

void price_groups(std::span<const EqualPoints> groups, MatrixView centroids, int64_t first,
                  std::span<float> prices) {
  const int64_t depth = centroids.cols, count = std::ssize(groups);
  const MatrixView others = centroids.slice(0, first);
  const auto of_others = prices.first(static_cast<size_t>(first));
  const auto apart = [&](size_t point, size_t centroid) {
    return exact_squared_distance(groups[point].point.data(),
                                  centroids.row(first + static_cast<int64_t>(centroid)), depth);
  };
  std::vector<double> scores, margins;  // at the groups' own points
  for (const EqualPoints& group : groups) {
    const float* point = group.point.data();
    const double least = least_score(point, others, of_others);
    margins.push_back(score_margin(point, double{group.radius}, centroids.slice(0, first + count),
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
          of_others[static_cast<size_t>(c)] + exact_squared_distance(point, all.row(c), depth);
      if (now < score) {
        score = now;
        nearest = c;
      }
    }
    const float* centre = all.row(nearest);
    const double way = std::sqrt(exact_squared_distance(point, centre, depth));
    std::vector<float> best(point, point + depth), trial(best);
    int64_t fewest = std::numeric_limits<int64_t>::max();
    for (int chance = -2; chance < chances; ++chance) {
      // Try the group's own point, then a point near the part's centre towards it, then random
      // ones.
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
      const auto price =
          static_cast<float>(score - exact_squared_distance(point, trial.data(), depth));
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

}  // namespace hardmoe
