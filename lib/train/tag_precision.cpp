#include "train/tag_precision.h"

#include <algorithm>

#include "base/error.h"
#include "base/signals.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

/// The ranking of one set of images: for each tag, the scores of the images that have it, and how
/// many images' scores lie between these.
class Ranking {
 public:
  void add_own(int32_t tag, float score) { own_.push_back({tag, score}); }

  /// Prepares for count(); call it after the last add_own().
  void sort() {
    std::sort(own_.begin(), own_.end(), [](const Own& a, const Own& b) {
      return a.tag < b.tag || (a.tag == b.tag && a.score < b.score);
    });
    for (size_t i = 0; i < own_.size(); ++i) {
      scores_.push_back(own_[i].score);
      if (i > 0 && own_[i].tag == own_[i - 1].tag) continue;
      tags_.push_back(own_[i].tag);
      first_.push_back(i);
    }
    first_.push_back(own_.size());
    own_ = {};
    highest_below_.assign(scores_.size(), 0);
  }

  int64_t tags() const { return std::ssize(tags_); }

  /// Counts an image for tags number `begin` to `end`; threads may count different tags.
  void count(const float* row, int64_t begin, int64_t end) {
    for (auto t = static_cast<size_t>(begin); t < static_cast<size_t>(end); ++t) {
      const float score = row[tags_[t]];
      const float* from = scores_.data() + first_[t];
      if (score < *from) continue;  // true for most images
      const float* end_of_tag = scores_.data() + first_[t + 1];
      const float* above = std::upper_bound(from, end_of_tag, score);
      ++highest_below_[static_cast<size_t>(above - scores_.data()) - 1];
    }
  }

  TagPrecision result() const {
    double sum = 0;
    for (size_t t = 0; t < tags_.size(); ++t) sum += average_precision(first_[t], first_[t + 1]);
    return {tags_.empty() ? 0 : sum / static_cast<double>(tags_.size()), tags()};
  }

 private:
  struct Own {
    int32_t tag;
    float score;
  };

  double average_precision(size_t begin, size_t end) const {
    double sum = 0;
    int64_t images = 0;  // images at or above this score
    for (size_t i = end; i > begin;) {
      size_t equal = i;  // first of the scores equal to this one
      while (equal > begin && scores_[equal - 1] == scores_[i - 1])
        images += highest_below_[--equal];
      sum += static_cast<double>(i - equal) * static_cast<double>(end - equal) /
             static_cast<double>(images);
      i = equal;
    }
    return sum / static_cast<double>(end - begin);
  }

  std::vector<Own> own_;
  std::vector<int32_t> tags_;           ///< tags that some image has, ascending
  std::vector<size_t> first_;           ///< tags + 1: where each tag's scores begin
  std::vector<float> scores_;           ///< ascending for each tag
  std::vector<int64_t> highest_below_;  ///< images with scores from this one up to the next
};

}  // namespace

std::vector<TagPrecision> tag_precision(
    const ScoreRows& scores, const std::function<std::span<const int32_t>(int64_t row)>& tags_of,
    std::span<const uint16_t> group_of, int64_t groups) {
  std::vector<Ranking> rankings(static_cast<size_t>(groups) + 1);
  Ranking& all = rankings.back();
  const auto group = [&](int64_t row) { return group_of[static_cast<size_t>(row)]; };
  const int64_t width = scores.width();
  scores.for_each([&](int64_t first, int64_t rows, std::span<const float> values) {
    for (int64_t i = 0; i < rows; ++i) {
      for (const int32_t tag : tags_of(first + i)) {
        if (tag < 0 || tag >= width) {
          fail("an image has tag {}, but the model scores tags 0 to {}", tag, width - 1);
        }
        const float score = values[static_cast<size_t>(i * width + tag)];
        all.add_own(tag, score);
        if (groups > 0) rankings[group(first + i)].add_own(tag, score);
      }
    }
  });
  parallel_for(groups + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) rankings[static_cast<size_t>(g)].sort();
  });
  scores.for_each([&](int64_t first, int64_t rows, std::span<const float> values) {
    throw_if_interrupted();
    std::vector<int64_t> counted;  // rows with tags
    for (int64_t i = 0; i < rows; ++i) {
      if (!tags_of(first + i).empty()) counted.push_back(i);
    }
    parallel_for(all.tags(), 16, [&](int64_t begin, int64_t end) {
      for (const int64_t i : counted) all.count(values.data() + i * width, begin, end);
    });
    parallel_for(groups, 1, [&](int64_t begin, int64_t end) {
      for (const int64_t i : counted) {
        const int64_t g = group(first + i);
        if (g < begin || g >= end) continue;
        Ranking& own = rankings[static_cast<size_t>(g)];
        own.count(values.data() + i * width, 0, own.tags());
      }
    });
  });
  std::vector<TagPrecision> result;
  for (const Ranking& ranking : rankings) result.push_back(ranking.result());
  return result;
}

}  // namespace hardmoe
