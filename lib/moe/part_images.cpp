#include "moe/part_images.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "base/signals.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

/// Calls visit(first, rows) for all rows of the embedding, some at a time.
void for_each_piece(const RowSource& embedding,
                    const std::function<void(int64_t first, MatrixView rows)>& visit) {
  constexpr int64_t piece_bytes = int64_t{32} << 20;
  const int64_t cols = embedding.cols();
  const int64_t most = std::max<int64_t>(1, piece_bytes / (4 * cols));
  std::vector<float> values;
  for (int64_t first = 0; first < embedding.rows(); first += most) {
    throw_if_interrupted();
    const int64_t rows = std::min(most, embedding.rows() - first);
    values.resize(static_cast<size_t>(rows * cols));
    embedding.read(first, rows, values.data());
    visit(first, {values.data(), rows, cols});
  }
}

}  // namespace

std::vector<int64_t> following_part(const Partition& partition, int64_t expert,
                                    int64_t experts_an_image) {
  const int64_t experts = partition.gater.experts;
  std::vector<int64_t> items;
  for (size_t i = 0; i < partition.assignment.size(); ++i) {
    const int64_t ahead = (expert - partition.assignment[i] + experts) % experts;
    if (ahead < experts_an_image) items.push_back(static_cast<int64_t>(i));
  }
  return items;
}

std::vector<int64_t> overlapping_part(const Partition& partition, const RowSource& embedding,
                                      int64_t expert, int64_t experts_an_image) {
  std::vector<int64_t> items;
  for_each_piece(embedding, [&](int64_t first, MatrixView rows) {
    const ExpertChoices near = partition.gater.nearest_experts(rows, experts_an_image);
    for (int64_t i = 0; i < rows.rows; ++i) {
      const auto begin = near.expert.begin() + i * near.experts;
      const bool own = partition.assignment[static_cast<size_t>(first + i)] == expert;
      if (own || std::find(begin, begin + near.experts, expert) != begin + near.experts) {
        items.push_back(first + i);
      }
    }
  });
  return items;
}

std::vector<int64_t> outside_of(const std::vector<int64_t>& part, int64_t images) {
  std::vector<int64_t> outside;
  outside.reserve(static_cast<size_t>(images) - part.size());
  auto next = part.begin();
  for (int64_t i = 0; i < images; ++i) {
    if (next != part.end() && *next == i) {
      ++next;
    } else {
      outside.push_back(i);
    }
  }
  return outside;
}

std::vector<int64_t> nearest_of(const std::vector<int64_t>& outside, const Partition& partition,
                                const RowSource& embedding, int64_t expert, int64_t count) {
  const Gater& gater = partition.gater;
  std::priority_queue<std::pair<float, int64_t>> nearest;  // its top is the farthest of them
  auto next = outside.begin();
  std::vector<float> further;
  for_each_piece(embedding, [&](int64_t first, MatrixView rows) {
    const Tensor z = gater.project(rows);
    const MatrixView points = matrix_view(z);
    further.resize(static_cast<size_t>(rows.rows));
    constexpr int64_t grain = 1024;
    parallel_for(rows.rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const uint16_t own = partition.assignment[static_cast<size_t>(first + i)];
        further[static_cast<size_t>(i)] =
            gater.score_of(points.row(i), static_cast<uint16_t>(expert)) -
            gater.score_of(points.row(i), own);
      }
    });
    for (; next != outside.end() && *next < first + rows.rows; ++next) {
      nearest.emplace(further[static_cast<size_t>(*next - first)], *next);
      if (std::ssize(nearest) > count) nearest.pop();
    }
  });
  std::vector<int64_t> items;
  for (; !nearest.empty(); nearest.pop()) items.push_back(nearest.top().second);
  std::sort(items.begin(), items.end());
  return items;
}

}  // namespace hardmoe
