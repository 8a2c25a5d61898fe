// What a compiled program is to do: precision, loss, optimiser. Plain data shared by engines and
// training configuration.
#pragma once

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
};

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
};

}  // namespace hardmoe
