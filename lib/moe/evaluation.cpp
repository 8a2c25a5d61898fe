#include "moe/evaluation.h"

#include "base/error.h"
#include "base/log.h"
#include "data/selection.h"
#include "moe/mixing.h"
#include "moe/tally.h"

namespace hardmoe {
namespace {

constexpr size_t few_to_fit = 20;  // with fewer images a fitted temperature says little

/// Returns the first choice of each image.
std::vector<uint16_t> first_choices(const ExpertChoices& choices) {
  std::vector<uint16_t> first;
  for (size_t c = 0; c < choices.expert.size(); c += static_cast<size_t>(choices.experts)) {
    first.push_back(choices.expert[c]);
  }
  return first;
}

/// Fits the temperature on every tenth image, and leaves these out of `items` and `choices`.
double fit_on_tenth(const MixtureAnswers& answers, const Split& split,
                    const AnsweredImages& answered, std::vector<int64_t>& items,
                    ExpertChoices& choices) {
  std::vector<size_t> fit, rest;
  for (size_t i = 0; i < items.size(); ++i) (i % 10 == 9 ? fit : rest).push_back(i);
  if (fit.empty()) {
    fail_usage(
        "eval.temperature: it is fitted on every tenth image, but the split has only {}; set "
        "eval.temperature (--temperature)",
        items.size());
  }
  const std::vector<int64_t> fit_items(fit.begin(), fit.end());
  const double temperature =
      fit_temperature_on(answers, split, fit_items, select(choices, fit), answered);
  log_line(fit.size() < few_to_fit ? LogLevel::warning : LogLevel::info,
           fmt::format("temperature {:.4g}, fitted on {} images, which are not evaluated{}",
                       temperature, fit.size(),
                       fit.size() < few_to_fit ? "; that is too few: set --temperature" : ""));
  choices = select(choices, rest);
  items.assign(rest.begin(), rest.end());
  return temperature;
}

/// Counts the answers about `items`, the base's mixed in if it has a share.
void tally_answers(Tally& tally, const MixtureAnswers& answers, const std::vector<int64_t>& items,
                   const ExpertChoices& choices, const AnsweredImages& answered,
                   const MixingWeights& weights, Mix mix) {
  visit_mixed_answers(
      answers, items, choices, answered, weights, mix, [&](const MixedAnswer& answer) {
        const int64_t item = items[answer.row];
        if (answer.probabilities) {
          tally.add(item, answer.expert, answer.scores, answer.scores);
        } else {
          tally.add(item, answer.expert, answer.scores, answers.mixture().losses[answer.expert]);
        }
      });
}

}  // namespace

void EvalConfig::describe(Fields& f) {
  f.add("split", split, "split to read");
  add_inference_precision(f, precision);
  f.add("top_experts", top_experts, "experts asked an image, weighted by softmax(-d²/T)");
  f.add(
      "temperature", temperature,
      "T; 0: fitted on the split 'selection'; without one on every tenth image, which is then left "
      "out");
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

void check_mixing(const Mixture& mixture, const MixtureConfig& mixing, const Split* selection) {
  check_mixture_config(mixing);
  const std::string& kind = embedding_kinds[static_cast<size_t>(mixture.embedding)];
  if (mixture.decoder && mixing.embedding != EmbeddingKind::expert &&
      mixing.embedding != mixture.embedding) {
    fail_usage("mixture.embedding: is {}, but the decoder was trained on {}; leave it out",
               embedding_kinds[static_cast<size_t>(mixing.embedding)], kind);
  }
  if (mixture.router && (mixing.base_share != 0 || mixture.embedding != EmbeddingKind::expert)) {
    fail_usage(
        "--router: the base is not computed, so that it can have no share in the answer; set "
        "mixture.base_share to 0 and take a decoder of experts' features, or leave --router out");
  }
  if (mixture.embedding != EmbeddingKind::expert) {
    if (mixing.base_share == 0 || mixing.fits_share() ||
        mixing.base_share == mixture.embedding_share) {
      return;
    }
    fail_usage(
        "mixture.base_share: is {}, but the decoder was trained on the embedding {} with {}; leave "
        "it out",
        mixing.base_share, kind, mixture.embedding_share);
  }
  if (mixing.base_share == 0) return;
  common_loss(mixture);
  if (!mixing.fits_share()) return;
  if (mixture.external_embedding) {
    fail_usage(
        "mixture.base_share: -1 fits it on the split '{}', for whose images there are no "
        "--features; give a value from 0 to 1",
        selection_split);
  }
  if (selection == nullptr) {
    fail_without_selection("mixture.base_share -1", "the dataset",
                           ", or give mixture.base_share a value from 0 to 1");
  }
}

Evaluation evaluate_mixture(Engine& engine, const Mixture& mixture, const Split& split,
                            const std::optional<EmbeddingInput>& external, const EvalConfig& config,
                            Precision precision, const MixtureConfig& mixing,
                            const Split* selection) {
  const int64_t experts = mixture.partition.gater.experts;
  check_eval_config(config, experts);
  if (external) selection = nullptr;
  check_mixing(mixture, mixing, selection);
  // A decoder that reads the base's features has its share in them.
  MixtureConfig answer = mixing;
  if (mixture.embedding != EmbeddingKind::expert) answer.base_share = 0;
  const bool fits_temperature = config.top_experts > 1 && config.temperature == 0;
  const bool on_selection = selection != nullptr && (fits_temperature || answer.fits_share());

  MixtureAnswers answers(engine, mixture, precision);
  MixingWeights weights = {config.temperature, answer.base_share};
  if (on_selection) weights = fit_on_selection(answers, *selection, config, answer);
  const AnsweredImages answered = answers.answer(
      split, external, {config.top_experts, config.use_prices, weights.base_share != 0});
  std::vector<int64_t> items = all_items(split);
  ExpertChoices choices = answered.choices;
  if (fits_temperature && !on_selection) {
    weights.temperature = fit_on_tenth(answers, split, answered, items, choices);
  }
  Tally tally(split, experts, answers.tags());
  tally_answers(tally, answers, items, choices, answered, weights, mixing.mix);

  Evaluation evaluation = tally.result();
  evaluation.images.experts = first_choices(answered.choices);
  evaluation.temperature = config.top_experts > 1 ? weights.temperature : 0;
  if (answer.base_share != 0) {
    evaluation.base_share = weights.base_share;
    evaluation.mix = mix_names[static_cast<size_t>(mixing.mix)];
  } else if (mixture.embedding != EmbeddingKind::expert) {
    evaluation.embedding = embedding_kinds[static_cast<size_t>(mixture.embedding)];
    evaluation.base_share = mixture.embedding_share;
  }
  if (on_selection) evaluation.fitted_on = selection->name();
  evaluation.cost = mixture_cost(mixture, config.top_experts, weights.base_share != 0);
  evaluation.router = mixture.router.has_value();
  evaluation.external_embedding = mixture.external_embedding && !evaluation.router;
  if (mixture.external_embedding) warn_of_skew(mixture.partition, evaluation.expert_images);
  return evaluation;
}

}  // namespace hardmoe
