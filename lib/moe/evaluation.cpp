#include "moe/evaluation.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "moe/tally.h"
#include "moe/temperature.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

constexpr size_t few_to_fit = 20;  // with fewer images a fitted temperature says little

/// Runs every expert on the images that it is a choice for, and calls visit(position in `items`,
/// number of the choice, logits) for each.
template <class Visit>
void ask_experts(Inference& inference, const Mixture& mixture, const Split& split,
                 const std::vector<int64_t>& items, const ExpertChoices& choices,
                 const Visit& visit) {
  const auto n = static_cast<size_t>(choices.experts);
  const auto width = static_cast<size_t>(logits_size(inference.network()));
  for (size_t k = 0; k < mixture.experts.size(); ++k) {
    std::vector<int64_t> asked;   // items of this expert
    std::vector<size_t> numbers;  // of the choices, position·n + choice
    for (size_t c = 0; c < choices.expert.size(); ++c) {
      if (choices.expert[c] != k) continue;
      asked.push_back(items[c / n]);
      numbers.push_back(c);
    }
    if (asked.empty()) continue;
    inference.load(expert_state_dict(mixture, static_cast<int64_t>(k)),
                   mixture.experts[k].string());
    inference.run(split, asked, [&](int64_t position, int64_t rows, auto, auto logits) {
      for (int64_t i = 0; i < rows; ++i) {
        const size_t number = numbers[static_cast<size_t>(position + i)];
        visit(number / n, number % n, logits.subspan(static_cast<size_t>(i) * width, width));
      }
    });
  }
}

/// Returns the choices of the rows at `positions`.
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

/// Returns the temperature that fits the images `items` best (moe/temperature.h).
double fit_temperature_on(Inference& inference, const Mixture& mixture, const Split& split,
                          const std::vector<int64_t>& items, const ExpertChoices& choices) {
  const auto n = static_cast<size_t>(choices.experts);
  const auto width = static_cast<size_t>(logits_size(inference.network()));
  std::vector<std::vector<float>> likelihood(items.size() * n);  // of each tag, by row and choice
  ask_experts(inference, mixture, split, items, choices,
              [&](size_t row, size_t choice, auto logits) {
                const size_t asked = row * n + choice;
                std::vector<float> p(width, 0.0F);
                add_probabilities(mixture.losses[choices.expert[asked]], logits, 1, p.data());
                for (const int32_t tag : split.tags(items[row])) {
                  likelihood[asked].push_back(p[static_cast<size_t>(tag)]);
                }
              });
  return fit_temperature(choices, likelihood);
}

}  // namespace

void EvalConfig::describe(Fields& f) {
  f.add("split", split, "split to read");
  add_inference_precision(f, precision);
  f.add("top_experts", top_experts, "experts asked an image, weighted by softmax(-d²/T)");
  f.add("temperature", temperature, "T; 0: fitted on every tenth image, which is then left out");
  f.add("use_prices", use_prices, "route as the fit did, by d² + price; false: by distance alone");
}

void check_eval_config(const EvalConfig& config, int64_t experts) {
  if (config.top_experts < 1 || config.top_experts > experts) {
    fail_usage("eval.top_experts: expected 1 to {}, found {}", experts, config.top_experts);
  }
  if (config.temperature < 0) {
    fail_usage("eval.temperature: expected 0 or more, found {}", config.temperature);
  }
}

Evaluation evaluate_model(Engine& engine, const Model& model, LossKind loss, const Split& split,
                          Precision precision) {
  Inference inference(engine, resnet(model.card.model, model.card.tags),
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

Evaluation evaluate_mixture(Engine& engine, const Mixture& mixture, const Split& split,
                            const std::optional<EmbeddingInput>& external, const EvalConfig& config,
                            Precision precision) {
  const auto& card = mixture.base.card;
  const int64_t experts = mixture.partition.gater.experts;
  check_eval_config(config, experts);
  Inference inference(engine, resnet(card.model, card.tags), card.model.image_size, precision);
  std::vector<int64_t> items = all_items(split);
  const Tensor features = routing_features(inference, mixture, split, external);
  ExpertChoices choices = mixture.partition.gater.nearest_experts(
      matrix_view(features), config.top_experts, config.use_prices);

  std::vector<uint16_t> routed;  // the first choice of each image, also of those left out below
  for (size_t c = 0; c < choices.expert.size(); c += static_cast<size_t>(choices.experts)) {
    routed.push_back(choices.expert[c]);
  }
  double temperature = config.temperature;
  if (config.top_experts > 1 && temperature == 0) {
    std::vector<size_t> fit, rest;
    for (size_t i = 0; i < items.size(); ++i) (i % 10 == 9 ? fit : rest).push_back(i);
    std::vector<int64_t> fit_items(fit.begin(), fit.end());
    if (fit.empty()) {
      fail_usage(
          "eval.temperature: it is fitted on every tenth image, but the split has only {}; set "
          "eval.temperature (--temperature)",
          items.size());
    }
    temperature = fit_temperature_on(inference, mixture, split, fit_items, select(choices, fit));
    log_line(fit.size() < few_to_fit ? LogLevel::warning : LogLevel::info,
             fmt::format("temperature {:.4g}, fitted on {} images, which are not evaluated{}",
                         temperature, fit.size(),
                         fit.size() < few_to_fit ? "; that is too few: set --temperature" : ""));
    choices = select(choices, rest);
    items.assign(rest.begin(), rest.end());
  }

  Tally tally(split, experts, card.tags);
  const auto width = static_cast<size_t>(card.tags);
  if (config.top_experts == 1) {
    ask_experts(inference, mixture, split, items, choices, [&](size_t row, size_t, auto logits) {
      const uint16_t expert = choices.expert[row];
      tally.add(items[row], expert, logits, mixture.losses[expert]);
    });
  } else {
    const auto n = static_cast<size_t>(config.top_experts);
    const auto weights = gating_weights(choices, temperature);
    std::vector<float> mixed(items.size() * width, 0.0F);
    ask_experts(inference, mixture, split, items, choices,
                [&](size_t row, size_t choice, auto logits) {
                  add_probabilities(mixture.losses[choices.expert[row * n + choice]], logits,
                                    weights[row * n + choice], mixed.data() + row * width);
                });
    for (size_t row = 0; row < items.size(); ++row) {
      const auto scores = std::span(mixed).subspan(row * width, width);
      tally.add(items[row], choices.expert[row * n], scores, scores);
    }
  }
  Evaluation evaluation = tally.result();
  evaluation.images.experts = std::move(routed);
  evaluation.temperature = config.top_experts > 1 ? temperature : 0;
  evaluation.cost = mixture_cost(mixture, config.top_experts);
  evaluation.external_embedding = mixture.external_embedding;
  if (mixture.external_embedding) warn_of_skew(mixture.partition, evaluation.expert_images);
  return evaluation;
}

Json evaluation_json(const Evaluation& evaluation) {
  Json json = {{"parameters", evaluation.cost.parameters},
               {"flops_per_image", evaluation.cost.flops}};
  if (evaluation.external_embedding) json["routed_by"] = "features";
  if (evaluation.temperature > 0) json["temperature"] = evaluation.temperature;
  for (const auto& metrics : evaluation.labels) {
    json[metrics.labels] = metrics_json(metrics.all);
    for (const auto& part : metrics.by_expert) {
      json[metrics.labels]["experts"].push_back(metrics_json(part));
    }
  }
  return json;
}

Evaluation parse_evaluation(const Json& json, const std::string& where) {
  Evaluation evaluation;
  evaluation.cost = {json_get<int64_t>(json, "parameters", where),
                     json_get<double>(json, "flops_per_image", where)};
  evaluation.external_embedding = json.contains("routed_by");
  evaluation.temperature = json.value("temperature", 0.0);
  for (const char* labels : {"tags", "truth"}) {
    if (!json.contains(labels)) continue;
    LabelMetrics parsed{labels, parse_metrics(json[labels], evaluated_ks, where), {}};
    for (const auto& part : json[labels].value("experts", Json::array())) {
      parsed.by_expert.push_back(parse_metrics(part, evaluated_ks, where));
    }
    evaluation.labels.push_back(std::move(parsed));
  }
  return evaluation;
}

std::string evaluation_text(const Evaluation& evaluation) {
  std::string text;
  for (const auto& metrics : evaluation.labels) {
    std::vector<std::vector<std::string>> rows = {
        metrics_heading(evaluated_ks, "against " + metrics.labels)};
    for (size_t k = 0; k < metrics.by_expert.size(); ++k) {
      rows.push_back(metrics_row(fmt::format("expert {}", k), metrics.by_expert[k]));
    }
    rows.push_back(metrics_row("all", metrics.all));
    text += format_table(rows);
  }
  return text + fmt::format("{} parameters, {} FLOPs an image{}\n",
                            human_count(static_cast<double>(evaluation.cost.parameters)),
                            human_count(evaluation.cost.flops),
                            evaluation.external_embedding ? ", without what made --features" : "");
}

}  // namespace hardmoe
