#include "moe/mixture_answers.h"

#include "engine/network_facts.h"
#include "moe/router.h"

namespace hardmoe {

ExpertChoices select(const ExpertChoices& choices, const std::vector<size_t>& positions) {
  ExpertChoices chosen{choices.experts, {}, {}};
  const auto n = static_cast<size_t>(choices.experts);
  for (const size_t p : positions) {
    for (size_t c = 0; c < n; ++c) {
      chosen.expert.push_back(choices.expert[p * n + c]);
      chosen.squared_distance.push_back(choices.squared_distance[p * n + c]);
    }
  }
  return chosen;
}

MixtureAnswers::MixtureAnswers(Engine& engine, const Mixture& mixture, Precision precision)
    : engine_(engine),
      mixture_(mixture),
      precision_(precision),
      inference_(engine,
                 resnet(mixture.base.card.model,
                        mixture.embedding == EmbeddingKind::expert ? mixture.base.card.tags : 0),
                 mixture.base.card.model.image_size, precision) {
  if (mixture.embedding != EmbeddingKind::expert) {
    decoder_.emplace(engine, *mixture.decoder, precision);
  }
}

RoutedImages MixtureAnswers::route(const Split& split,
                                   const std::optional<EmbeddingInput>& external,
                                   const RoutingOptions& options) {
  RoutedImages routed;
  if (mixture_.router) {
    routed.choices =
        choices_of_router(engine_, *mixture_.router, split, options.top_experts, precision_);
    return routed;
  }
  const int64_t width = feature_size(inference_.network());
  if (options.base_logits) routed.base_logits.emplace(tags());
  if (!external || options.base_logits || decoder_) {
    routed.base_features = Tensor::uninitialized(DType::f32, {split.size(), width});
    const auto to = routed.base_features.as<float>();
    inference_.load(mixture_.base.weights, "base");
    inference_.run(split, all_items(split),
                   [&](int64_t position, int64_t rows, auto features, auto logits) {
                     std::copy(features.begin(), features.end(), to.begin() + position * width);
                     if (!routed.base_logits) return;
                     const auto each = static_cast<size_t>(tags());
                     for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
                       routed.base_logits->add(logits.subspan(i * each, each));
                     }
                   });
  }
  const Tensor features =
      external ? routing_features(inference_, mixture_, split, external) : routed.base_features;
  routed.choices = mixture_.partition.gater.nearest_experts(
      matrix_view(features), options.top_experts, options.use_prices);
  if (!decoder_) routed.base_features = {};
  return routed;
}

std::span<const float> MixtureAnswers::combined_scores(std::span<const float> features,
                                                       std::span<const int64_t> items,
                                                       const Tensor& base) {
  const int64_t width = base.size(1), row = decoder_->width();
  for (size_t i = 0; i < items.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    write_embedding_row(mixture_.embedding, mixture_.embedding_share,
                        base.as<float>().data() + items[i] * width, features.data() + at * width,
                        width, decoder_->rows() + at * row);
  }
  return decoder_->score(std::ssize(items));
}

void MixtureAnswers::ask(const Split& split, const std::vector<int64_t>& items,
                         const ExpertChoices& choices, const RoutedImages& routed,
                         const Visit& visit) {
  const auto n = static_cast<size_t>(choices.experts);
  const auto width = static_cast<size_t>(tags());
  for (size_t k = 0; k < mixture_.experts.size(); ++k) {
    std::vector<int64_t> asked;   // items of this expert
    std::vector<size_t> numbers;  // of the choices, position·n + choice
    for (size_t c = 0; c < choices.expert.size(); ++c) {
      if (choices.expert[c] != k) continue;
      asked.push_back(items[c / n]);
      numbers.push_back(c);
    }
    if (asked.empty()) continue;
    inference_.load(expert_state_dict(mixture_, static_cast<int64_t>(k)),
                    mixture_.experts[k].string());
    inference_.run(split, asked, [&](int64_t position, int64_t rows, auto features, auto logits) {
      const auto first = static_cast<size_t>(position), count = static_cast<size_t>(rows);
      const std::span<const float> scores =
          decoder_ ? combined_scores(features, std::span(asked).subspan(first, count),
                                     routed.base_features)
                   : logits;
      for (size_t i = 0; i < count; ++i) {
        const size_t number = numbers[first + i];
        visit(number / n, number % n, scores.subspan(i * width, width));
      }
    });
  }
}

}  // namespace hardmoe
