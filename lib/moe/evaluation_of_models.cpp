// Evaluates single models, alone and together.
#include <algorithm>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "moe/evaluation.h"
#include "moe/mixed_answers.h"
#include "moe/tally.h"
#include "nn/architecture.h"

namespace hardmoe {
namespace {

constexpr int64_t scores_at_a_time = int64_t{64} << 20;  // kept in memory

}  // namespace

Evaluation evaluate_model(Engine& engine, const Model& model, LossKind loss, const Split& split,
                          Precision precision) {
  Inference inference(engine, network_of(model.card.model, model.card.tags),
                      model.card.model.image_size, precision);
  inference.load(model.weights, "model");
  const auto width = static_cast<size_t>(model.card.tags);
  Tally tally(split, 0, model.card.tags);
  inference.run(split, all_items(split), [&](int64_t position, int64_t rows, auto, auto logits) {
    for (int64_t i = 0; i < rows; ++i) {
      tally.add(position + i, 0, logits.subspan(static_cast<size_t>(i) * width, width), loss);
    }
  });
  Evaluation evaluation = tally.result();
  evaluation.cost = model_cost(model.card);
  return evaluation;
}

void check_models(const std::vector<Model>& models, Mix mix) {
  const LossKind loss = models.at(0).card.loss;
  const auto is_other = [&](const Model& model) { return model.card.loss != loss; };
  if (mix == Mix::arithmetic || std::ranges::none_of(models, is_other)) return;
  fail_usage(
      "mixture.mix: geometric averages answers of one loss, and these models were trained with "
      "softmax and sigmoid; use arithmetic");
}

Evaluation evaluate_models(Engine& engine, const std::vector<Model>& models, const Split& split,
                           Mix mix, Precision precision) {
  check_models(models, mix);
  const int64_t tags = models[0].card.tags;
  const auto width = static_cast<size_t>(tags);
  const LossKind loss = models[0].card.loss;
  std::vector<std::unique_ptr<Inference>> networks;
  Cost cost;
  for (const Model& model : models) {
    networks.push_back(std::make_unique<Inference>(engine, network_of(model.card.model, tags),
                                                   model.card.model.image_size, precision));
    networks.back()->load(model.weights, "model");
    const Cost each = model_cost(model.card);
    cost = {cost.parameters + each.parameters, cost.flops + each.flops};
  }
  Tally tally(split, 0, tags);
  const auto weight = static_cast<float>(1.0 / static_cast<double>(models.size()));
  const int64_t at_a_time = std::max<int64_t>(1024, scores_at_a_time / tags);
  for (int64_t first = 0; first < split.size(); first += at_a_time) {
    std::vector<int64_t> items(static_cast<size_t>(std::min(at_a_time, split.size() - first)));
    std::iota(items.begin(), items.end(), first);
    std::vector<float> mixed(items.size() * width, 0.0F);
    for (size_t m = 0; m < models.size(); ++m) {
      networks[m]->run(split, items, [&](int64_t position, int64_t rows, auto, auto logits) {
        for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
          add_answer(mix, models[m].card.loss, logits.subspan(i * width, width), weight,
                     mixed.data() + (static_cast<size_t>(position) + i) * width);
        }
      });
    }
    for (size_t i = 0; i < items.size(); ++i) {
      const auto scores = std::span(mixed).subspan(i * width, width);
      if (mix == Mix::arithmetic) {
        tally.add(items[i], 0, scores, scores);
      } else {
        tally.add(items[i], 0, scores, loss);
      }
    }
  }
  Evaluation evaluation = tally.result();
  evaluation.cost = cost;
  evaluation.models = std::ssize(models);
  evaluation.mix = mix_names[static_cast<size_t>(mix)];
  return evaluation;
}

}  // namespace hardmoe
