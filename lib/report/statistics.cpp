#include "report/statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "base/random.h"

namespace hardmoe {

MeanOfImages mean_of_images(std::span<const float> values) {
  MeanOfImages found;
  double sum = 0, squares = 0;
  for (const float value : values) {
    if (std::isnan(value)) continue;
    ++found.images;
    sum += value;
  }
  if (found.images == 0) return found;
  const auto n = static_cast<double>(found.images);
  found.mean = found.low = found.high = sum / n;
  if (found.images < 2) return found;
  for (const float value : values) {
    if (!std::isnan(value)) squares += (value - found.mean) * (value - found.mean);
  }
  const double half = 1.959964 * std::sqrt(squares / (n - 1) / n);
  found.low -= half;
  found.high += half;
  return found;
}

std::vector<float> paired_difference(std::span<const float> a, std::span<const float> b) {
  std::vector<float> difference(std::min(a.size(), b.size()));
  for (size_t i = 0; i < difference.size(); ++i) difference[i] = a[i] - b[i];
  return difference;
}

double mutual_information(const Split& split, std::span<const uint16_t> part_of, int64_t parts,
                          int64_t tags) {
  std::vector<double> joint(static_cast<size_t>(parts * tags)), of_part(static_cast<size_t>(parts));
  std::vector<double> of_tag(static_cast<size_t>(tags));
  double all = 0;
  for (size_t i = 0; i < part_of.size(); ++i) {
    const auto own = split.tags(static_cast<int64_t>(i));
    for (const int32_t tag : own) {
      const double share = 1 / static_cast<double>(own.size());
      joint[part_of[i] * static_cast<size_t>(tags) + static_cast<size_t>(tag)] += share;
      of_part[part_of[i]] += share;
      of_tag[static_cast<size_t>(tag)] += share;
      all += share;
    }
  }
  double bits = 0;
  for (size_t k = 0; k < of_part.size(); ++k) {
    for (size_t t = 0; t < of_tag.size(); ++t) {
      const double both = joint[k * of_tag.size() + t];
      if (both > 0) bits += both / all * std::log2(both * all / (of_part[k] * of_tag[t]));
    }
  }
  return bits;
}

double chance_information(const Split& split, std::span<const uint16_t> part_of, int64_t parts,
                          int64_t tags) {
  std::vector<uint16_t> drawn(part_of.begin(), part_of.end());
  Random random(1, RandomUse::resample);
  for (size_t left = drawn.size(); left > 1; --left) {
    std::swap(drawn[left - 1], drawn[random.below(left)]);
  }
  return mutual_information(split, drawn, parts, tags);
}

TagCounts::TagCounts(const Split& split, std::span<const uint16_t> part_of, int64_t parts,
                     int64_t tags)
    : tags_(tags),
      images_(static_cast<size_t>(parts)),
      of_tag_(static_cast<size_t>(tags)),
      counts_(static_cast<size_t>(parts * tags)) {
  for (size_t i = 0; i < part_of.size(); ++i) {
    ++all_;
    ++images_.at(part_of[i]);
    for (const int32_t tag : split.tags(static_cast<int64_t>(i))) {
      ++of_tag_.at(static_cast<size_t>(tag));
      ++counts_[static_cast<size_t>(part_of[i] * tags + tag)];
    }
  }
}

int64_t TagCounts::count(int64_t part, int32_t tag) const {
  return counts_.at(static_cast<size_t>(part * tags_ + tag));
}

double TagCounts::over_representation(int64_t part, int32_t tag) const {
  const auto in_part = static_cast<double>(images_.at(static_cast<size_t>(part)));
  const auto of_tag = static_cast<double>(of_tag_.at(static_cast<size_t>(tag)));
  if (in_part == 0 || of_tag == 0) return 0;
  return static_cast<double>(count(part, tag)) * all_ / (in_part * of_tag);
}

double TagCounts::surprise(int64_t part, int32_t tag) const {
  const double part_share = static_cast<double>(images_.at(static_cast<size_t>(part))) / all_;
  const auto of_tag = static_cast<double>(of_tag_.at(static_cast<size_t>(tag)));
  const double expected = of_tag * part_share;
  const double variance = expected * (1 - part_share) * (1 - of_tag / all_);
  return variance > 0 ? (static_cast<double>(count(part, tag)) - expected) / std::sqrt(variance)
                      : 0;
}

std::vector<int32_t> TagCounts::most_surprising(int64_t part, size_t count) const {
  std::vector<std::pair<double, int32_t>> found;
  for (int32_t tag = 0; tag < tags_; ++tag) {
    const double surprise_here = surprise(part, tag);
    if (surprise_here > 2) found.emplace_back(-surprise_here, tag);
  }
  const size_t kept = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<int64_t>(kept), found.end());
  std::vector<int32_t> tags;
  for (size_t i = 0; i < kept; ++i) tags.push_back(found[i].second);
  return tags;
}

Calibration calibration_of(std::span<const float> probability, const std::vector<bool>& right) {
  Calibration found;
  for (size_t i = 0; i < probability.size(); ++i) {
    const auto number = static_cast<int>(probability[i] * 10);
    CalibrationBin& bin = found.bins[static_cast<size_t>(std::clamp(number, 0, 9))];
    ++bin.images;
    bin.probability += probability[i];
    bin.right += right[i] ? 1 : 0;
  }
  for (CalibrationBin& bin : found.bins) {
    if (bin.images == 0) continue;
    const auto n = static_cast<double>(bin.images);
    bin.probability /= n;
    bin.right /= n;
    found.expected_error +=
        n / static_cast<double>(probability.size()) * std::abs(bin.right - bin.probability);
  }
  return found;
}

void FrequencyBins::add(int64_t count, bool hit) {
  const auto positive = static_cast<uint64_t>(std::max<int64_t>(count, 1));
  const int number = static_cast<int>(std::bit_width(positive)) - 1;
  FrequencyBin& bin = bins_[static_cast<size_t>(std::min(number, 39))];
  ++bin.cases;
  bin.hits += hit ? 1 : 0;
}

std::vector<FrequencyBin> FrequencyBins::bins(int64_t least) const {
  std::vector<FrequencyBin> found;
  for (size_t i = 0; i < bins_.size(); ++i) {
    if (bins_[i].cases < least) continue;
    found.push_back(bins_[i]);
    found.back().from = std::exp2(i);
    found.back().to = std::exp2(i + 1);
  }
  return found;
}

}  // namespace hardmoe
