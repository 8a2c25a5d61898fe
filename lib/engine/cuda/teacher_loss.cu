// The loss against a teacher's scores: a block a row, as the loss over tags (loss.cu). Softmax reads
// both rows twice, sigmoid once.
#include "engine/cuda/kernels.h"
#include "engine/cuda/loss_sums.cuh"

namespace hardmoe::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(loss_threads)
    softmax_teacher_kernel(TeacherLossArgs args, T* __restrict__ gradients) {
  const int64_t i = blockIdx.x;
  const float* z = args.logits + i * args.stride;
  const float* teacher = args.teacher + i * args.stride;
  T* gradient = gradients + i * args.stride;
  const float inverse = 1 / args.temperature;
  const float share = args.temperature * args.weight / static_cast<float>(args.n);

  Exponentials mine, theirs;
  for (int64_t j = threadIdx.x; j < args.tags; j += loss_threads) {
    mine = merged(mine, {z[j] * inverse, 1});
    theirs = merged(theirs, {teacher[j] * inverse, 1});
  }
  const Exponentials p = block_merge(mine), q = block_merge(theirs);
  double divergence = 0;
  for (int64_t j = threadIdx.x; j < args.tags; j += loss_threads) {
    const float target = expf(teacher[j] * inverse - q.top) / q.total;
    divergence += static_cast<double>(target) * static_cast<double>((teacher[j] - z[j]) * inverse);
    const float g[1] = {(expf(z[j] * inverse - p.top) / p.total - target) * share};
    store(gradient + j, g);
  }
  clear(gradient, args.tags, args.stride);
  divergence = block_sum(divergence);
  if (threadIdx.x != 0) return;
  const auto log_total = [](const Exponentials& sums) {
    return log(static_cast<double>(sums.total)) + static_cast<double>(sums.top);
  };
  args.row_loss[i] = static_cast<double>(args.temperature) * static_cast<double>(args.temperature) *
                     (divergence + log_total(p) - log_total(q));
}

template <class T>
__global__ void __launch_bounds__(loss_threads)
    sigmoid_teacher_kernel(TeacherLossArgs args, T* __restrict__ gradients) {
  const int64_t i = blockIdx.x;
  const float* z = args.logits + i * args.stride;
  const float* teacher = args.teacher + i * args.stride;
  T* gradient = gradients + i * args.stride;
  const float inverse = 1 / args.temperature;
  const float share = args.temperature * args.weight / static_cast<float>(args.n);
  double loss = 0;
  for (int64_t j = threadIdx.x; j < args.tags; j += loss_threads) {
    const float s = z[j] * inverse;
    const float target = 1 / (1 + expf(-teacher[j] * inverse));
    const float positive = s < 0 ? 0.0F : s;  // a NaN stays one
    loss += static_cast<double>(positive + log1pf(expf(-fabsf(s))) - target * s);
    const float g[1] = {(1 / (1 + expf(-s)) - target) * share};
    store(gradient + j, g);
  }
  clear(gradient, args.tags, args.stride);
  loss = block_sum(loss);
  if (threadIdx.x != 0) return;
  args.row_loss[i] =
      static_cast<double>(args.temperature) * static_cast<double>(args.temperature) * loss;
}

template <class T>
void run_loss(const TeacherLossArgs& args, Stream stream) {
  const auto kernel =
      args.kind == LossKind::softmax ? softmax_teacher_kernel<T> : sigmoid_teacher_kernel<T>;
  launch("loss", kernel, dim3(static_cast<unsigned>(args.n)), loss_threads, loss_sum_bytes, stream,
         args, static_cast<T*>(args.gradient.data));
}

}  // namespace

void teacher_loss(const TeacherLossArgs& given, Stream stream) {
  TeacherLossArgs args = given;
  if (args.stride == 0) args.stride = args.tags;
  if (args.gradient.precision == Precision::bf16) {
    run_loss<BFloat16>(args, stream);
  } else {
    run_loss<float>(args, stream);
  }
  add_mean_loss(args.row_loss, args.n, args.loss_sum, stream);
}

}  // namespace hardmoe::cuda
