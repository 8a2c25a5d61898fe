// One update of all parameters in one launch: 4 parameters a thread. Bytes a learned parameter:
// gradient 4, weight 8, moment 8 (AdamW 16), average 8, bf16 copy 2; a running statistic: weight 4,
// average 8.
#include "engine/cuda/kernels.h"
#include "engine/cuda/pack.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = 256;
constexpr int width = 4;

template <OptimizerKind kind>
__global__ void __launch_bounds__(threads) update_kernel(Update args) {
  const StepFactors factors = *args.factors;
  const OptimizerSpec& spec = args.spec;
  const float momentum = spec.momentum;
  const float keep = spec.nesterov ? 1.0F : 0.0F;  // SGD: share of the plain gradient
  const float ahead = spec.nesterov ? momentum : 1.0F;
  const float shrink = 1 - factors.lr * spec.weight_decay;  // AdamW
  const float decay = spec.ema_decay;
  const int64_t end = args.average != nullptr ? args.length : args.learned;
  const int64_t step = int64_t{gridDim.x} * threads * width;
  for (int64_t i = (int64_t{blockIdx.x} * threads + threadIdx.x) * width; i < end; i += step) {
    float w[width];
    load(args.weights + i, w);
    if (i < args.learned) {
      float g[width], first[width];
      load(args.gradients + i, g);
      load(args.first + i, first);
      if constexpr (kind == OptimizerKind::sgd) {
#pragma unroll
        for (int k = 0; k < width; ++k) {
          const float slope = fmaf(spec.weight_decay, w[k], g[k]);
          first[k] = fmaf(momentum, first[k], slope);
          w[k] -= factors.lr * fmaf(ahead, first[k], keep * slope);
        }
      } else {
        float second[width];
        load(args.second + i, second);
#pragma unroll
        for (int k = 0; k < width; ++k) {
          first[k] = fmaf(momentum, first[k], (1 - momentum) * g[k]);
          second[k] = fmaf(spec.beta2, second[k], (1 - spec.beta2) * g[k] * g[k]);
          w[k] = w[k] * shrink - factors.step_size * first[k] /
                                     (sqrtf(second[k]) * factors.root_correction + spec.epsilon);
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
  if (args.learned % width != 0 || args.length % width != 0) {
    launch_failed("update", "parameters come in multiples of 4 floats");
  }
  const int64_t n = args.average != nullptr ? args.length : args.learned;
  if (n == 0) return;
  const auto kernel = args.spec.kind == OptimizerKind::sgd ? update_kernel<OptimizerKind::sgd>
                                                           : update_kernel<OptimizerKind::adamw>;
  launch("update", kernel, striding_grid(divide_up(n, width * threads)), threads, 0, stream, args);
}

}  // namespace hardmoe::cuda
