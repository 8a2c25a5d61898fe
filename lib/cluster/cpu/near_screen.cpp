#include "cluster/cpu/near_screen.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/threads.h"
#include "cluster/kernels.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t rows_at_a_time = 2048;  // enough that each group is compared with several of them

/// The best centroid of a point so far.
struct Best {
  float score = std::numeric_limits<float>::infinity();
  float distance = 0;
  uint16_t centroid = UINT16_MAX;
};

}  // namespace

/// What a thread needs for a block.
struct NearScreen::Work {
  std::vector<uint16_t> chosen;  ///< rows × compared groups, the nearest first
  std::vector<int32_t> next;     ///< by group: where its rows end in `rows`
  std::vector<int32_t> rows;     ///< those that chose each group, group by group
  std::vector<Query> queries;
  Candidates found;
  std::vector<Best> best;
};

NearScreen::NearScreen(const PricedCentroids& rule, const IntegerLevel& level,
                       std::span<const float> slack)
    : tree_(*rule.tree), centers_(matrix_view(tree_.centers)) {
  const int64_t depth = rule.centroids.cols;
  ordered_.reserve(static_cast<size_t>(rule.centroids.rows * depth));
  for (const uint16_t c : tree_.order) {
    ordered_.insert(ordered_.end(), rule.centroids.row(c), rule.centroids.row(c) + depth);
    prices_.push_back(rule.prices.empty() ? 0 : rule.prices[c]);
    if (!slack.empty()) slack_.push_back(slack[c]);
  }
  screens_.reserve(static_cast<size_t>(tree_.groups()));
  for (size_t g = 0; g < static_cast<size_t>(tree_.groups()); ++g) {
    const int64_t first = tree_.first[g], count = tree_.first[g + 1] - first;
    const auto at = static_cast<size_t>(first), length = static_cast<size_t>(count);
    Screen::Options options;
    if (!slack_.empty()) options.slack = std::span(slack_).subspan(at, length);
    screens_.emplace_back(MatrixView{ordered_.data() + first * depth, count, depth},
                          std::span(prices_).subspan(at, length), level, options);
  }
}

int64_t NearScreen::block_rows() { return rows_at_a_time; }

void NearScreen::assign(MatrixView points, std::span<uint16_t> parts,
                        std::span<float> distances) const {
  parallel_for(points.rows, rows_at_a_time, [&](int64_t begin, int64_t end) {
    Work work;
    for (int64_t first = begin; first < end; first += rows_at_a_time) {
      const int64_t last = std::min(end, first + rows_at_a_time);
      const auto at = static_cast<size_t>(first), count = static_cast<size_t>(last - first);
      assign_block(points.slice(first, last), parts.subspan(at, count),
                   distances.subspan(at, count), work);
    }
  });
}

void NearScreen::assign_block(MatrixView points, std::span<uint16_t> parts,
                              std::span<float> distances, Work& work) const {
  choose_groups(points, work);
  work.best.assign(static_cast<size_t>(points.rows), Best());
  for (size_t g = 0; g < screens_.size(); ++g) {
    compare(points, g, work, [&](int32_t row, size_t place, float distance) {
      Best& best = work.best[static_cast<size_t>(row)];
      const float score = distance + prices_[place];
      const uint16_t number = tree_.order[place];
      if (score < best.score || (score == best.score && number < best.centroid)) {
        best = {score, distance, number};
      }
    });
  }
  for (size_t row = 0; row < parts.size(); ++row) {
    parts[row] = work.best[row].centroid;
    distances[row] = work.best[row].distance;
  }
}

/// Finds the nearest groups of each point, and sorts the points by them.
void NearScreen::choose_groups(MatrixView points, Work& work) const {
  const auto groups = static_cast<size_t>(tree_.groups()),
             compared = static_cast<size_t>(tree_.compared);
  work.chosen.resize(static_cast<size_t>(points.rows) * compared);
  work.next.assign(groups + 1, 0);
  std::vector<uint16_t> number(groups);
  for_each_scores(points, centers_, 0, points.rows, [&](int64_t row, const float* scores) {
    std::iota(number.begin(), number.end(), uint16_t{0});
    std::partial_sort(number.begin(), number.begin() + tree_.compared, number.end(),
                      [&](uint16_t a, uint16_t b) {
                        return scores[a] < scores[b] || (scores[a] == scores[b] && a < b);
                      });
    std::copy_n(number.begin(), compared, work.chosen.begin() + row * tree_.compared);
    for (size_t i = 0; i < compared; ++i) ++work.next[number[i] + size_t{1}];
  });
  std::partial_sum(work.next.begin(), work.next.end(), work.next.begin());
  work.rows.resize(work.chosen.size());
  for (size_t i = 0; i < work.chosen.size(); ++i) {
    work.rows[static_cast<size_t>(work.next[work.chosen[i]]++)] =
        static_cast<int32_t>(i / compared);
  }
}

template <class Body>
void NearScreen::compare(MatrixView points, size_t group, Work& work, const Body& body) const {
  const Screen& screen = screens_[group];
  const auto squared_distance = supported_kernels()[0].squared_distance;
  const int64_t step = screen.block_rows();
  int64_t begin = group == 0 ? 0 : work.next[group - 1];
  for (const int64_t end = work.next[group]; begin < end; begin += step) {
    const int64_t last = std::min(end, begin + step);
    work.queries.clear();
    for (int64_t i = begin; i < last; ++i) {
      work.queries.push_back({.row = work.rows[static_cast<size_t>(i)], .groups = 1});
    }
    screen.find(points, work.queries, work.found);
    size_t candidate = 0;
    for (size_t q = 0; q < work.queries.size(); ++q) {
      const int32_t row = work.queries[q].row;
      for (; candidate < static_cast<size_t>(work.found.last[q]); ++candidate) {
        const int64_t place = tree_.first[group] + work.found.centroid[candidate];
        body(row, static_cast<size_t>(place),
             squared_distance(points.row(row), ordered_.data() + place * points.cols, points.cols));
      }
    }
  }
}

void NearScreen::candidates(MatrixView points, NearCandidates& found) const {
  thread_local Work work;
  choose_groups(points, work);
  std::vector<std::vector<std::pair<uint16_t, float>>> of_row(static_cast<size_t>(points.rows));
  for (size_t g = 0; g < screens_.size(); ++g) {
    compare(points, g, work, [&](int32_t row, size_t place, float distance) {
      of_row[static_cast<size_t>(row)].emplace_back(tree_.order[place], distance);
    });
  }
  found.last.clear();
  found.centroid.clear();
  found.distance.clear();
  for (auto& candidates : of_row) {
    std::ranges::sort(candidates);
    for (const auto& [centroid, distance] : candidates) {
      found.centroid.push_back(centroid);
      found.distance.push_back(distance);
    }
    found.last.push_back(static_cast<int32_t>(found.centroid.size()));
  }
}

}  // namespace hardmoe::cpu
