#include "moe/mixing.h"

#include "base/error.h"
#include "base/log.h"
#include "moe/base_share.h"
#include "moe/mixed_answers.h"
#include "moe/temperature.h"
#include "train/config.h"
#include "train/probability.h"

namespace hardmoe {

void visit_answers(const MixtureAnswers& answers, const std::vector<int64_t>& items,
                   const ExpertChoices& choices, const AnsweredImages& answered, double temperature,
                   const std::function<void(const ExpertsAnswer&)>& visit) {
  const auto n = static_cast<size_t>(choices.experts);
  if (n == 1) {
    return answers.visit(items, choices, answered, [&](size_t row, size_t, auto logits) {
      visit({row, logits, false});
    });
  }
  const auto width = static_cast<size_t>(answers.tags());
  const auto& losses = answers.mixture().losses;
  const auto weights = gating_weights(choices, temperature);
  std::vector<float> mixed(items.size() * width, 0.0F);
  answers.visit(items, choices, answered, [&](size_t row, size_t choice, auto logits) {
    add_probabilities(losses[choices.expert[row * n + choice]], logits, weights[row * n + choice],
                      mixed.data() + row * width);
  });
  for (size_t row = 0; row < items.size(); ++row) {
    visit({row, std::span(mixed).subspan(row * width, width), true});
  }
}

BaseMixer::BaseMixer(Mix mix, LossKind loss, double share, int64_t tags)
    : mix_(mix),
      loss_(loss),
      share_(static_cast<float>(share)),
      sum_(static_cast<size_t>(tags)),
      logits_(static_cast<size_t>(tags)) {}

std::span<const float> BaseMixer::mixed(std::span<const float> base, const ExpertsAnswer& experts) {
  std::ranges::fill(sum_, 0.0F);
  add_answer(mix_, loss_, base, share_, sum_.data());
  if (!experts.probabilities) {
    add_answer(mix_, loss_, experts.scores, 1 - share_, sum_.data());
  } else if (mix_ == Mix::arithmetic) {
    for (size_t j = 0; j < sum_.size(); ++j) sum_[j] += (1 - share_) * experts.scores[j];
  } else {
    std::ranges::copy(experts.scores, logits_.begin());
    to_logits(loss_, logits_);
    add_answer(mix_, loss_, logits_, 1 - share_, sum_.data());
  }
  return sum_;
}

void visit_mixed_answers(const MixtureAnswers& answers, const std::vector<int64_t>& items,
                         const ExpertChoices& choices, const AnsweredImages& answered,
                         const MixingWeights& weights, Mix mix,
                         const std::function<void(const MixedAnswer&)>& visit) {
  const Mixture& mixture = answers.mixture();
  const auto n = static_cast<size_t>(choices.experts);
  std::optional<BaseMixer> mixer;
  std::vector<float> base(static_cast<size_t>(answers.tags()));
  if (answered.base_logits) {
    mixer.emplace(mix, common_loss(mixture), weights.base_share, answers.tags());
  }
  visit_answers(answers, items, choices, answered, weights.temperature,
                [&](const ExpertsAnswer& answer) {
                  MixedAnswer mixed{answer.row, choices.expert[answer.row * n], answer.scores,
                                    answer.probabilities};
                  if (mixer) {
                    answered.base_logits->read(items[answer.row], base);
                    mixed.scores = mixer->mixed(base, answer);
                    mixed.probabilities = mix == Mix::arithmetic;
                  }
                  visit(mixed);
                });
}

double fit_temperature_on(const MixtureAnswers& answers, const Split& split,
                          const std::vector<int64_t>& items, const ExpertChoices& choices,
                          const AnsweredImages& answered) {
  const auto n = static_cast<size_t>(choices.experts);
  const auto& losses = answers.mixture().losses;
  std::vector<std::vector<float>> likelihood(items.size() * n);  // of each tag, by row and choice
  std::vector<float> p(static_cast<size_t>(answers.tags()));
  answers.visit(items, choices, answered, [&](size_t row, size_t choice, auto logits) {
    const size_t asked = row * n + choice;
    std::ranges::fill(p, 0.0F);
    add_probabilities(losses[choices.expert[asked]], logits, 1, p.data());
    for (const int32_t tag : split.tags(items[row])) {
      likelihood[asked].push_back(p[static_cast<size_t>(tag)]);
    }
  });
  return fit_temperature(choices, likelihood);
}

MixingWeights fit_on_selection(MixtureAnswers& answers, const Split& selection,
                               const EvalConfig& config, const MixtureConfig& mixing) {
  MixingWeights weights = {config.temperature, mixing.base_share};
  const AnsweredImages answered =
      answers.answer(selection, {}, {config.top_experts, config.use_prices, mixing.fits_share()});
  const auto items = all_items(selection);
  if (config.top_experts > 1 && weights.temperature == 0) {
    weights.temperature = fit_temperature_on(answers, selection, items, answered.choices, answered);
    log_info("temperature {:.4g}, fitted on the {} images of '{}'", weights.temperature,
             items.size(), selection.name());
  }
  if (!mixing.fits_share()) return weights;
  const LossKind loss = common_loss(answers.mixture());
  const auto width = static_cast<size_t>(answers.tags());
  ScoreRows pairs(2 * answers.tags());
  std::vector<int64_t> item_of;  // of each row of `pairs`
  std::vector<float> pair(2 * width);
  visit_answers(answers, items, answered.choices, answered, weights.temperature,
                [&](const ExpertsAnswer& answer) {
                  const auto expert = std::span(pair).last(width);
                  answered.base_logits->read(items[answer.row], std::span(pair).first(width));
                  std::ranges::copy(answer.scores, expert.begin());
                  if (answer.probabilities) to_logits(loss, expert);
                  pairs.add(pair);
                  item_of.push_back(items[answer.row]);
                });
  weights.base_share = fit_base_share(
      pairs, [&](int64_t row) { return selection.tags(item_of[static_cast<size_t>(row)]); },
      mixing.mix, loss);
  log_info("mixture.base_share {:.3f}, fitted on the {} images of '{}'", weights.base_share,
           items.size(), selection.name());
  return weights;
}

LossKind common_loss(const Mixture& mixture) {
  const LossKind loss = mixture.base.card.loss;
  for (const LossKind other : mixture.losses) {
    if (other == loss) continue;
    fail_usage(
        "mixture.base_share: the base was trained with the loss {}, what answers for the experts "
        "with {}; only answers of one loss can be mixed",
        loss_names[static_cast<size_t>(loss)], loss_names[static_cast<size_t>(other)]);
  }
  return loss;
}

}  // namespace hardmoe
