// The figures of a report that no stage has recorded, each by a closed form.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace hardmoe {

/// A mean over images with its 95% interval, mean ± 1.96·s/√n (s²: the values' variance, divisor
/// n − 1).
struct MeanOfImages {
  int64_t images = 0;  ///< that have a value
  double mean = 0, low = 0, high = 0;
};
/// Returns the mean of the values that are not NaN; with fewer than two an interval of no extent.
MeanOfImages mean_of_images(std::span<const float> values);

/// Returns for each value of `a` and `b` the difference a − b, NaN where one is NaN.
std::vector<float> paired_difference(std::span<const float> a, std::span<const float> b);

/// How often tags occur in each of K parts of a split's N images.
class TagCounts {
 public:
  /// `part_of`: N, each image's part, below `parts`. `tags`: V.
  TagCounts(const Split& split, std::span<const uint16_t> part_of, int64_t parts, int64_t tags);

  int64_t parts() const { return static_cast<int64_t>(images_.size()); }
  int64_t count(int64_t part, int32_t tag) const;
  /// Returns the share of the part's images that have the tag over the share of all images that
  /// do: 1 where the tag is as frequent as everywhere; 0 if there is no such image.
  double over_representation(int64_t part, int32_t tag) const;
  /// Returns by how many deviations the part has more images with the tag than as many images
  /// drawn at random from all would (n_tk − e) / √(e·(1 − n_k/N)·(1 − n_t/N)), e = n_t·n_k/N: that
  /// of the hypergeometric distribution, but for a factor √((N−1)/N).
  double surprise(int64_t part, int32_t tag) const;
  /// Returns the tags of the greatest surprise in a part, at most `count`, all above 2.
  std::vector<int32_t> most_surprising(int64_t part, size_t count) const;

 private:
  int64_t tags_;
  double all_ = 0;               ///< N
  std::vector<int64_t> images_;  ///< K: n_k
  std::vector<int64_t> of_tag_;  ///< V: n_t
  std::vector<int32_t> counts_;  ///< K×V
};

/// What a part tells of an image's tags, in bits: the mutual information Σ p(k,t)·log₂(p(k,t)/(p(k)·p(t)))
/// over parts and tags, where an image counts 1 in all, shared equally by its tags; images without tags
/// do not count. 0 if parts tell nothing; at most log₂ of the number of parts.
double mutual_information(const Split& split, std::span<const uint16_t> part_of, int64_t parts,
                          int64_t tags);
/// Returns the same of parts of the same sizes drawn at random: what few images show by chance. A
/// function of its arguments.
double chance_information(const Split& split, std::span<const uint16_t> part_of, int64_t parts,
                          int64_t tags);

/// Images whose greatest probability is in one of ten equal ranges.
struct CalibrationBin {
  int64_t images = 0;
  double probability = 0;  ///< mean of the greatest probability
  double right = 0;        ///< share whose likeliest tag is one of the image's
};
struct Calibration {
  std::array<CalibrationBin, 10> bins;
  /// Σ over bins of images/N · |right − probability| (Naeini et al. 2015, "ECE").
  double expected_error = 0;
};
/// Returns the calibration of N answers. `probability`: of the likeliest tag; `right`: whether the
/// image has it.
Calibration calibration_of(std::span<const float> probability, const std::vector<bool>& right);

/// What falls into ranges of tags' counts in training, each twice as wide as the one before.
struct FrequencyBin {
  double from = 0, to = 0;  ///< counts: from ≤ count < to
  int64_t cases = 0;
  int64_t hits = 0;
};
/// Counts a case of a tag with that count, a hit or not.
class FrequencyBins {
 public:
  void add(int64_t count, bool hit);
  /// Returns the bins with at least `least` cases, by ascending counts.
  std::vector<FrequencyBin> bins(int64_t least = 20) const;

 private:
  std::array<FrequencyBin, 40> bins_ = {};
};

}  // namespace hardmoe
