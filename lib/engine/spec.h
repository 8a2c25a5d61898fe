// What a compiled program is to do: precision, loss, optimiser. Plain data shared by engines and
// training configuration.
#pragma once

#include <string>

namespace hardmoe {

enum class Precision {
  fp32,
  tf32,  ///< fp32 in memory; products of inputs rounded to 10 bits on tensor cores (NVIDIA GPUs)
  bf16,  ///< bf16 activations and products; fp32 master weights, gradients, statistics, sums
};

/// "fp32", "tf32" or "bf16", as configurations write it.
constexpr const char* name_of(Precision precision) {
  return precision == Precision::fp32 ? "fp32" : precision == Precision::tf32 ? "tf32" : "bf16";
}

enum class LossKind {
  softmax,  ///< cross-entropy against 1/k on each of an image's k tags (Mahajan et al. 2018, §2)
  sigmoid,  ///< binary cross-entropy of each tag, summed over tags
  // Of a gate's values over all rows of a batch; they know no tags, and rows' weights do not count.
  importance,  ///< CV² of the sums of the gates of each expert (Shazeer et al. 2017, equation 7)
  divergence,  ///< KL(p ‖ 1/E), p_i an expert's share of all gates (Pavlitska et al. 2022)
  load,  ///< CV² of the sums of P_i, how probable a choice is (Shazeer et al. 2017, appendix A)
};

/// One of the losses whose weighted sum is trained on.
struct LossSpec {
  LossKind kind = LossKind::softmax;
  /// ε: softmax: (1−ε) of the target on the tags, ε spread over the vocabulary; sigmoid:
  /// (1−ε)·[tag] + ε/2 for each tag.
  float label_smoothing = 0;
  float weight = 1;
  int value = -1;             ///< the value of the network that holds a score a tag; -1: its logits
  std::string name = "loss";  ///< as logs show it
  /// The value of the network that holds a teacher's score a tag, t, which are then the target
  /// instead of the tags (Hinton, Vinyals & Dean 2015, §2), at temperature τ and for scores s:
  ///   softmax: τ²·KL(softmax(t/τ) ‖ softmax(s/τ))
  ///   sigmoid: τ² × binary cross-entropy of s/τ against sigmoid(t/τ), summed over tags
  /// No gradient goes to the teacher. -1: the tags.
  int teacher = -1;
  float temperature = 1;  ///< τ, with a teacher

  // Of a gate, a float32 vector with a number for each of E experts. `value` holds the gates
  // (importance, divergence), or the logits without noise (load). A weight of 0 only measures.
  /// Importance: 0, the variance over experts is divided by E (Shazeer et al.); 1, by E − 1, and 1e-10
  /// is added to the squared mean (Pavlitska et al.).
  int ddof = 0;
  int k = 1;       ///< load: the experts that are chosen; with k = E the loss is 0
  int noisy = -1;  ///< load: the value of the logits with noise
  int sigma = -1;  ///< load: the value of the noise's deviations, σ; -1: all are `deviation`
  float deviation = 0;
  /// Load: P_i = Φ((logit_i − t_i)/σ_i), where t_i is the k-th largest noisy logit, of the other
  /// experts' (true; Shazeer et al.) or of all (false; Riquelme et al. 2021, appendix A.2).
  bool excluding = true;
};

/// Returns whether a loss is one of gates, not of scores against tags.
constexpr bool is_of_gates(LossKind kind) {
  return kind != LossKind::softmax && kind != LossKind::sigmoid;
}

enum class OptimizerKind {
  sgd,    ///< with (Nesterov) momentum, as torch.optim.SGD
  adamw,  ///< Loshchilov & Hutter 2019, as torch.optim.AdamW
};

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::sgd;
  float momentum = 0.9F;  ///< SGD's momentum, AdamW's beta1
  bool nesterov = true;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float weight_decay = 0;
  float ema_decay = 0;  ///< 0: no averaged weights
  /// λ of a pull toward the weights that were loaded, w⁰ (L2-SP; Li, Grandvalet & Davoine 2018):
  /// λ(w − w⁰) joins the gradient (SGD), or is taken times the learning rate from w (AdamW), as
  /// weight_decay does with w. 0: none.
  float pull = 0;
};

}  // namespace hardmoe
