#include "moe/predictor.h"

#include <algorithm>

#include "base/error.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

ViewForm view_form(const ModelCard& card) {
  const Network network = network_of(card.model, 0);
  return {card.model.image_size, network.crop_share};
}

void check_settings(const Mixture& mixture, const AnswerSettings& settings) {
  const int64_t experts = mixture.partition.gater.experts;
  if (settings.top_experts < 1 || settings.top_experts > experts) {
    fail_usage("--top-experts: expected 1 to {}, as there are {} experts, found {}", experts,
               experts, settings.top_experts);
  }
  if (settings.top_experts > 1 && settings.temperature <= 0) {
    fail_usage(
        "--top-experts {}: their weights take a temperature, which no evaluation of this mixture "
        "has fitted; give one as --temperature, such as moe-eval --top-experts {} finds",
        settings.top_experts, settings.top_experts);
  }
  if (settings.base_share > 0) static_cast<void>(common_loss(mixture));
}

}  // namespace

std::vector<ViewForm> view_forms(const Model& model) { return {view_form(model.card)}; }

std::vector<ViewForm> view_forms(const Mixture& mixture) {
  std::vector<ViewForm> forms = {view_form(mixture.base.card)};
  if (mixture.router && view_form(mixture.router->card) != forms[0]) {
    forms.push_back(view_form(mixture.router->card));
  }
  return forms;
}

Predictor::Predictor(Engine& engine, const Model& model, Precision precision, int64_t batch)
    : tags_(model.card.tags), model_(&model) {
  inference_.emplace(engine, network_of(model.card.model, tags_), model.card.model.image_size,
                     precision, batch);
  inference_->load(model.weights, "model");
}

Predictor::Predictor(Engine& engine, const Mixture& mixture, const AnswerSettings& settings,
                     Precision precision, int64_t batch)
    : tags_(mixture.base.card.tags), settings_(settings) {
  check_settings(mixture, settings);
  answers_.emplace(engine, mixture, precision, batch);
}

PredictedImages Predictor::predict(const ImageSet& images, bool embedding, const Visit& visit) {
  return model_ != nullptr ? predict_by_model(images, embedding, visit)
                           : predict_by_mixture(images, embedding, visit);
}

PredictedImages Predictor::predict_by_model(const ImageSet& images, bool embedding,
                                            const Visit& visit) {
  const int64_t width = feature_size(inference_->network());
  const auto each = static_cast<size_t>(tags_);
  PredictedImages found;
  if (embedding) found.embedding = Tensor(DType::f32, {images.size(), width});
  std::vector<float> probabilities(each);
  inference_->run(
      images, all_items(images), [&](int64_t position, int64_t rows, auto features, auto logits) {
        if (embedding) {
          std::ranges::copy(features, found.embedding.as<float>().begin() + position * width);
        }
        for (int64_t row = 0; row < rows; ++row) {
          const auto scores = logits.subspan(static_cast<size_t>(row) * each, each);
          std::ranges::fill(probabilities, 0.0F);
          add_probabilities(model_->card.loss, scores, 1, probabilities.data());
          visit(static_cast<size_t>(position + row), scores, probabilities);
        }
      });
  return found;
}

PredictedImages Predictor::predict_by_mixture(const ImageSet& images, bool embedding,
                                              const Visit& visit) {
  const Mixture& mixture = answers_->mixture();
  // A decoder that reads the base's features has its share in them.
  const double share = mixture.embedding == EmbeddingKind::expert ? settings_.base_share : 0;
  const AnsweredImages answered = answers_->answer(images, {},
                                                   {.top_experts = settings_.top_experts,
                                                    .use_prices = settings_.use_prices,
                                                    .base_logits = share != 0,
                                                    .embedding = embedding});
  std::vector<float> probabilities(static_cast<size_t>(tags_));
  visit_mixed_answers(
      *answers_, all_items(images), answered.choices, answered, {settings_.temperature, share},
      settings_.mix, [&](const MixedAnswer& answer) {
        if (answer.probabilities) {
          return visit(answer.row, answer.scores, answer.scores);
        }
        std::ranges::fill(probabilities, 0.0F);
        add_probabilities(mixture.losses[answer.expert], answer.scores, 1, probabilities.data());
        visit(answer.row, answer.scores, probabilities);
      });
  return {answered.choices, answered.embedding};
}

}  // namespace hardmoe
