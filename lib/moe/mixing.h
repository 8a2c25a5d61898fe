// Fits and applies what turns the answers of base and experts into one: the temperature of gating
// weights, the base's share.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "moe/evaluation.h"
#include "moe/mixture_answers.h"

namespace hardmoe {

/// What weighs answers.
struct MixingWeights {
  double temperature = 0;  ///< T of the gating weights; 0: one expert answers
  double base_share = 0;   ///< a
};

/// One image's answer by its experts.
struct ExpertsAnswer {
  size_t row = 0;                 ///< position in the items asked about
  std::span<const float> scores;  ///< V
  bool probabilities = false;     ///< of several experts; else one's logits
};

/// Passes on the experts' answer for each of `items`: one expert's, or the probabilities of several
/// by their gating weights at `temperature`.
void visit_answers(const MixtureAnswers& answers, const std::vector<int64_t>& items,
                   const ExpertChoices& choices, const AnsweredImages& answered, double temperature,
                   const std::function<void(const ExpertsAnswer&)>& visit);

/// Mixes the base's logits with the experts' answer of an image.
class BaseMixer {
 public:
  BaseMixer(Mix mix, LossKind loss, double share, int64_t tags);
  /// Returns logits (geometric) or probabilities (arithmetic), V values, valid until the next call.
  std::span<const float> mixed(std::span<const float> base, const ExpertsAnswer& experts);

 private:
  Mix mix_;
  LossKind loss_;
  float share_;
  std::vector<float> sum_, logits_;
};

/// One image's answer by all that have a share in it.
struct MixedAnswer {
  size_t row = 0;                 ///< position in the items asked about
  uint16_t expert = 0;            ///< its first choice
  std::span<const float> scores;  ///< V
  bool probabilities = false;     ///< else logits, of the loss of that expert's head
};

/// Passes on the answer for each of `items`, the base's mixed in if `answered` has it.
void visit_mixed_answers(const MixtureAnswers& answers, const std::vector<int64_t>& items,
                         const ExpertChoices& choices, const AnsweredImages& answered,
                         const MixingWeights& weights, Mix mix,
                         const std::function<void(const MixedAnswer&)>& visit);

/// Returns the temperature that fits the images `items` best (moe/temperature.h).
double fit_temperature_on(const MixtureAnswers& answers, const Split& split,
                          const std::vector<int64_t>& items, const ExpertChoices& choices,
                          const AnsweredImages& answered);

/// Returns the weights of the configuration, those that are to be fitted fitted on `selection`: the
/// temperature alone first, then the base's share. The split must not be evaluated with them.
MixingWeights fit_on_selection(MixtureAnswers& answers, const Split& selection,
                               const EvalConfig& config, const MixtureConfig& mixing);

/// Returns the loss that the base and all heads that score for experts were trained with. Throws
/// Error(usage) if they differ: their scores cannot be mixed.
LossKind common_loss(const Mixture& mixture);

}  // namespace hardmoe
