// What moe-predict says of an image, and how it is written: as a table, JSON lines or CSV.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace hardmoe {

/// An expert that answered for an image.
struct PredictedExpert {
  int expert = 0;
  double distance = 0;  ///< to its centroid in the gater's space; of a router: P(expert)
  double weight = 1;    ///< of its answer among the experts'
};

/// What was found of an image.
struct Prediction {
  std::string image;
  std::string error;                            ///< why nothing was; else empty
  std::vector<std::pair<int32_t, float>> tags;  ///< id and probability, best first
  std::vector<PredictedExpert> experts;         ///< best first; none for a single model
};

/// Returns the `top` tags of an image that score best, best first, with their probabilities, but for
/// those whose probability is below `threshold`. `scores`, `probabilities`: V values each.
std::vector<std::pair<int32_t, float>> best_tags(std::span<const float> scores,
                                                 std::span<const float> probabilities, int top,
                                                 double threshold);

enum class PredictionForm { table, json, csv };

/// Writes predictions as text, some at a time.
class PredictionWriter {
 public:
  /// `experts`: whether a mixture answers. `by_router`: experts have probabilities, no distances.
  PredictionWriter(PredictionForm form, const Vocabulary& vocabulary, bool experts, bool by_router);

  /// Returns the heading, if the form has one: before all else.
  std::string heading() const;
  /// Returns the lines of these images. A table's columns are as wide as these need.
  std::string lines(const std::vector<Prediction>& predictions) const;

 private:
  std::string json_line(const Prediction& prediction) const;
  std::string csv_lines(const Prediction& prediction) const;
  std::string table(const std::vector<Prediction>& predictions) const;

  PredictionForm form_;
  const Vocabulary& vocabulary_;
  bool experts_;
  const char* distance_name_;
};

}  // namespace hardmoe
