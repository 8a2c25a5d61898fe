#include "moe/mixture_answers.h"

#include <algorithm>

#include "engine/network_facts.h"
#include "nn/architecture.h"

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

MixtureAnswers::MixtureAnswers(Engine& engine, const Mixture& mixture, Precision precision,
                               int64_t batch)
    : mixture_(mixture),
      networks_(engine, mixture, precision, mixture.embedding == EmbeddingKind::expert, 0, batch) {
  if (mixture.embedding != EmbeddingKind::expert) {
    decoder_.emplace(engine, *mixture.decoder, precision, batch);
  }
}

AnsweredImages MixtureAnswers::answer(const ImageSet& images,
                                      const std::optional<EmbeddingInput>& external,
                                      const RoutingOptions& options) {
  const auto n = static_cast<size_t>(options.top_experts), each = static_cast<size_t>(tags());
  const Gater& gater = mixture_.partition.gater;
  const auto nearest = [&](MatrixView features, int64_t first) {
    return gater.nearest_experts(features, options.top_experts, options.use_prices, first);
  };
  AnsweredImages answered{{}, {}, ScoreRows(tags()), {}, {}};
  answered.row_of.resize(static_cast<size_t>(images.size()) * n);
  if (options.base_logits) answered.base_logits.emplace(tags());
  std::optional<ExpertChoices> chosen;
  if (external) chosen = nearest(matrix_view(external_features(*external)), 0);
  MixtureVisits visits;
  visits.experts_an_image = options.top_experts;
  Tensor base_features, expert_features;
  const int64_t width = feature_size(network_of(mixture_.base.card.model, 0));
  if (options.embedding) expert_features = Tensor(DType::f32, {images.size(), width});
  if ((!external && !mixture_.router) || options.base_logits || decoder_) {
    base_features = Tensor::uninitialized(DType::f32, {images.size(), width});
    visits.base = [&](int64_t position, int64_t rows, auto features, auto logits) {
      std::ranges::copy(features, base_features.as<float>().begin() + position * width);
      if (!answered.base_logits) return;
      for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
        answered.base_logits->add(logits.subspan(i * each, each));
      }
    };
  }
  visits.choose = [&](int64_t first, int64_t count) {
    return chosen ? slice(*chosen, first, count)
                  : nearest(matrix_view(base_features).slice(first, first + count), first);
  };
  visits.expert = [&](std::span<const size_t> numbers, auto features, auto logits) {
    std::vector<size_t> items;
    for (const size_t number : numbers) items.push_back(number / n);
    const std::span<const float> scores =
        decoder_ ? combined_scores(features, items, base_features) : logits;
    for (size_t i = 0; i < numbers.size(); ++i) {
      answered.row_of[numbers[i]] = static_cast<size_t>(answered.logits.size());
      answered.logits.add(scores.subspan(i * each, each));
      if (!options.embedding || numbers[i] % n != 0) continue;
      std::copy_n(features.data() + static_cast<int64_t>(i) * width, width,
                  expert_features.as<float>().data() + static_cast<int64_t>(items[i]) * width);
    }
  };
  answered.choices = networks_.run(images, visits);
  if (options.embedding) {
    answered.embedding = combined_embedding(mixture_.embedding, mixture_.embedding_share,
                                            base_features, expert_features);
  }
  return answered;
}

std::span<const float> MixtureAnswers::combined_scores(std::span<const float> features,
                                                       std::span<const size_t> items,
                                                       const Tensor& base) {
  const int64_t width = base.size(1), row = decoder_->width();
  for (size_t i = 0; i < items.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    write_embedding_row(mixture_.embedding, mixture_.embedding_share,
                        base.as<float>().data() + static_cast<int64_t>(items[i]) * width,
                        features.data() + at * width, width, decoder_->rows() + at * row);
  }
  return decoder_->score(std::ssize(items));
}

void MixtureAnswers::visit(const std::vector<int64_t>& items, const ExpertChoices& choices,
                           const AnsweredImages& answered, const Visit& visit) const {
  const auto n = static_cast<size_t>(choices.experts);
  std::vector<float> logits(static_cast<size_t>(tags()));
  for (size_t k = 0; k < mixture_.experts.size(); ++k) {
    for (size_t c = 0; c < choices.expert.size(); ++c) {
      if (choices.expert[c] != k) continue;
      const size_t number = static_cast<size_t>(items[c / n]) * n + c % n;
      answered.logits.read(static_cast<int64_t>(answered.row_of[number]), logits);
      visit(c / n, c % n, logits);
    }
  }
}

}  // namespace hardmoe
