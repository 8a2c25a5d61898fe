#include "moe/part_samples.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "base/signals.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

/// The `count` images with the least values, among equals the first.
class Least {
 public:
  explicit Least(int64_t count) : count_(static_cast<size_t>(count)) {}
  void add(float value, int64_t image) {
    if (found_.size() == count_ && (count_ == 0 || std::pair(value, image) >= found_.top())) return;
    found_.emplace(value, image);
    if (found_.size() > count_) found_.pop();
  }
  std::vector<int64_t> images() {
    std::vector<int64_t> images;
    for (; !found_.empty(); found_.pop()) images.push_back(found_.top().second);
    std::ranges::reverse(images);
    return images;
  }

 private:
  size_t count_;
  std::priority_queue<std::pair<float, int64_t>> found_;  ///< its top is the greatest of them
};

/// What is known of one image: the distance to its expert, and how much farther the next one is.
struct Place {
  float distance = 0, lead = 0;
};

/// Returns the places of consecutive images, whose experts are `own`.
std::vector<Place> places_of(const Gater& gater, MatrixView rows, const uint16_t* own) {
  std::vector<Place> places(static_cast<size_t>(rows.rows));
  const Tensor z = gater.project(rows);
  const MatrixView points = matrix_view(z);
  parallel_for(rows.rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* point = points.row(i);
      const float score = gater.score_of(point, own[i]);
      float next = std::numeric_limits<float>::infinity();
      for (int64_t k = 0; k < gater.experts; ++k) {
        if (k == own[i]) continue;
        next = std::min(next, gater.score_of(point, static_cast<uint16_t>(k)));
      }
      places[static_cast<size_t>(i)] = {gater.distance_to(point, own[i]), next - score};
    }
  });
  return places;
}

/// Calls visit(first, count) for runs of rows that are at most `most` in all.
template <class Visit>
void for_each_run(int64_t rows, int64_t most, const Visit& visit) {
  constexpr int64_t run = 1024;
  const int64_t runs = std::max<int64_t>(1, std::min(most, rows) / run);
  for (int64_t r = 0; r < runs; ++r) {
    throw_if_interrupted();
    const int64_t first = rows * r / runs;
    visit(first, std::min(rows <= most ? rows * (r + 1) / runs - first : run, rows - first));
  }
}

}  // namespace

std::vector<PartSample> sample_parts(const Partition& partition, const RowSource& embedding,
                                     int64_t count, int64_t most) {
  const Gater& gater = partition.gater;
  const auto experts = static_cast<size_t>(gater.experts);
  std::vector<Least> nearest(experts, Least(count)), border(experts, Least(count));
  const bool random = gater.kind == PartitionMethod::random;
  std::vector<float> values;
  for_each_run(std::ssize(partition.assignment), most, [&](int64_t first, int64_t rows) {
    const uint16_t* own = partition.assignment.data() + first;
    std::vector<Place> places(static_cast<size_t>(rows));
    if (!random) {
      values.resize(static_cast<size_t>(rows * embedding.cols()));
      embedding.read(first, rows, values.data());
      places = places_of(gater, {values.data(), rows, embedding.cols()}, own);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const auto [distance, lead] = places[static_cast<size_t>(i)];
      nearest[own[i]].add(distance, first + i);
      if (!random && experts > 1) border[own[i]].add(lead, first + i);
    }
  });
  std::vector<PartSample> samples;
  for (size_t k = 0; k < experts; ++k) {
    samples.push_back({nearest[k].images(), border[k].images()});
  }
  return samples;
}

}  // namespace hardmoe
