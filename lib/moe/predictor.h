// What a model or a mixture says of images without labels: each image's probabilities by tag, its
// expert and its row of the unified embedding. The same numbers as moe/evaluation.h measures.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/image_set.h"
#include "moe/mixing.h"
#include "moe/mixture_card.h"

namespace hardmoe {

/// What was found of N images, beside their tags.
struct PredictedImages {
  ExpertChoices choices;  ///< of a mixture; a model has none
  Tensor embedding;       ///< N×D (N×2D) float32; empty unless asked for
};

/// Networks on an engine, asked about one set of images after another.
class Predictor {
 public:
  /// All must outlive this. `batch`: the most images in a batch, which takes as long however few it
  /// has.
  Predictor(Engine& engine, const Model& model, Precision precision, int64_t batch);
  /// Throws Error(usage) for settings that are impossible for the mixture.
  Predictor(Engine& engine, const Mixture& mixture, const AnswerSettings& settings,
            Precision precision, int64_t batch);

  /// Receives an image's answer, V values each: scores, by which its tags rank, and probabilities.
  using Visit = std::function<void(size_t image, std::span<const float> scores,
                                   std::span<const float> probabilities)>;

  /// Asks the networks about all images; passes answers on in any order. `embedding`: whether its
  /// rows are wanted.
  PredictedImages predict(const ImageSet& images, bool embedding, const Visit& visit);

  /// Returns V.
  int64_t tags() const { return tags_; }

 private:
  PredictedImages predict_by_model(const ImageSet& images, bool embedding, const Visit& visit);
  PredictedImages predict_by_mixture(const ImageSet& images, bool embedding, const Visit& visit);

  int64_t tags_;
  const Model* model_ = nullptr;
  std::optional<Inference> inference_;
  AnswerSettings settings_;
  std::optional<MixtureAnswers> answers_;
};

/// Returns the forms in which the networks of a mixture, or a model, see images.
std::vector<ViewForm> view_forms(const Mixture& mixture);
std::vector<ViewForm> view_forms(const Model& model);

}  // namespace hardmoe
