// One update of all parameters in one launch: 4 parameters a thread. Bytes a learned parameter:
// gradient 4, weight 8, moment 8 (AdamW 16), average 8, bf16 copy 2, first weight 4; a running statistic: weight 4,
// average 8.
#include "engine/cuda/kernels.h"
#include "engine/cuda/pack.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = 256;
constexpr int width = 4;

template <OptimizerKind kind, bool pulled>
__global__ void __launch_bounds__(threads) update_kernel(Update args) {
  const StepFactors factors = *args.factors;
  const OptimizerSpec& spec = args.spec;
  const float momentum = spec.momentum;
  const float keep = spec.nesterov ? 1.0F : 0.0F;  // SGD: share of the plain gradient
  const float ahead = spec.nesterov ? momentum : 1.0F;
  const float decay = spec.ema_decay;
  const int64_t end = args.average != nullptr ? args.length : args.learned;
  const int64_t step = int64_t{gridDim.x} * threads * width;
  for (int64_t i = (int64_t{blockIdx.x} * threads + threadIdx.x) * width; i < end; i += step) {
    float w[width];
    load(args.weights + i, w);
    if (i < args.learned) {
      const float pace = i < args.learned - args.slow ? 1.0F : args.slow_factor;
      const float lr = pace * factors.lr;
      float g[width], first[width], away[width] = {};  // w − w⁰
      load(args.gradients + i, g);
      load(args.first + i, first);
      if constexpr (pulled) {
        load(args.origin + i, away);
#pragma unroll
        for (int k = 0; k < width; ++k) away[k] = w[k] - away[k];
      }
      if constexpr (kind == OptimizerKind::sgd) {
#pragma unroll
        for (int k = 0; k < width; ++k) {
          float slope = fmaf(spec.weight_decay, w[k], g[k]);
          if constexpr (pulled) slope = fmaf(spec.pull, away[k], slope);
          first[k] = fmaf(momentum, first[k], slope);
          w[k] -= lr * fmaf(ahead, first[k], keep * slope);
        }
      } else {
        const float shrink = 1 - lr * spec.weight_decay;
        const float step_size = pace * factors.step_size;
        float second[width];
        load(args.second + i, second);
#pragma unroll
        for (int k = 0; k < width; ++k) {
          first[k] = fmaf(momentum, first[k], (1 - momentum) * g[k]);
          second[k] = fmaf(spec.beta2, second[k], (1 - spec.beta2) * g[k] * g[k]);
          w[k] = w[k] * shrink -
                 step_size * first[k] / (sqrtf(second[k]) * factors.root_correction + spec.epsilon);
          if constexpr (pulled) w[k] -= lr * spec.pull * away[k];
        }
        store(args.second + i, second);
      }
      store(args.first + i, first);
      store(args.weights + i, w);
      if (args.copies != nullptr) store(args.copies + i, w);
    }
    if (args.average != nullptr) {
      float average[width];
      load(args.average + i, average);
#pragma unroll
      for (int k = 0; k < width; ++k) average[k] = fmaf(decay, average[k], (1 - decay) * w[k]);
      store(args.average + i, average);
    }
  }
}

}  // namespace

void update_weights(const Update& args, Stream stream) {
  if (args.learned % width != 0 || args.slow % width != 0 || args.length % width != 0) {
    launch_failed("update", "parameters come in multiples of 4 floats");
  }
  const int64_t n = args.average != nullptr ? args.length : args.learned;
  if (n == 0) return;
  const bool sgd = args.spec.kind == OptimizerKind::sgd;
  auto kernel =
      sgd ? update_kernel<OptimizerKind::sgd, false> : update_kernel<OptimizerKind::adamw, false>;
  if (args.spec.pull != 0) {
    kernel =
        sgd ? update_kernel<OptimizerKind::sgd, true> : update_kernel<OptimizerKind::adamw, true>;
  }
  launch("update", kernel, striding_grid(divide_up(n, width * threads)), threads, 0, stream, args);
}

}  // namespace hardmoe::cuda
