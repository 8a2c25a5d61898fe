// The loss over tags: a block a row, so that a row of 100,000 tags is added up by 512 threads and
// no sum leaves the block. Softmax reads a row twice (an online maximum and sum, then the
// gradient; the second time from the cache where rows fit it), sigmoid once. A tag has few bytes
// written twice: first as if it were none, then as one, behind a barrier.
#include "engine/cuda/kernels.h"
#include "engine/cuda/loss_sums.cuh"
#include "engine/cuda/pack.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = loss_threads;

struct Row {
  const float* z;
  const int32_t* tags;
  int64_t count;  ///< of its tags
};
__device__ __forceinline__ Row row_of(const TagLossArgs& args, int64_t i) {
  const int32_t begin = args.tag_ptr[i];
  return {args.logits + i * args.stride, args.tag_ids + begin, args.tag_ptr[i + 1] - begin};
}

__device__ __forceinline__ float weight_of(const TagLossArgs& args, int64_t i) {
  return args.row_weights == nullptr ? 1.0F : args.row_weights[i];
}

/// How often the tag at place i stands in the row: 0 behind its first place (ids ascend).
__device__ __forceinline__ int occurrences(const Row& row, int64_t i) {
  if (i > 0 && row.tags[i - 1] == row.tags[i]) return 0;
  int times = 1;
  while (i + times < row.count && row.tags[i + times] == row.tags[i]) ++times;
  return times;
}

/// Calls body(j, width-V values of z) for the thread's share of a row, padding left out as
/// `count` < V.
template <int V, class Body>
__device__ __forceinline__ void for_share(const float* z, int64_t tags, const Body& body) {
#pragma unroll(V == 1 ? 2 : 4)
  for (int64_t j = int64_t{threadIdx.x} * V; j < tags; j += threads * V) {
    float v[V];
    load(z + j, v);
    body(j, v, tags - j < V ? static_cast<int>(tags - j) : V);
  }
}

template <class T, int V>
__global__ void __launch_bounds__(threads)
    softmax_kernel(TagLossArgs args, T* __restrict__ gradients) {
  const int64_t i = blockIdx.x;
  const Row row = row_of(args, i);
  T* gradient = gradients + i * args.stride;
  if (row.count == 0) {  // the same for the whole block
    clear(gradient, 0, args.stride);
    if (threadIdx.x == 0) args.row_loss[i] = 0;
    return;
  }
  const float spread = args.smoothing / static_cast<float>(args.tags);
  const float share = (1 - args.smoothing) / static_cast<float>(row.count);
  const float factor = weight_of(args, i);
  const float one_over_n = factor * (args.weight / static_cast<float>(args.n));

  Exponentials mine;
  float logits = 0;
  for_share<V>(row.z, args.tags, [&](int64_t, const float(&v)[V], int count) {
    float top = mine.top;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      if (k < count) top = fmaxf(top, v[k]);
    }
    float total = mine.total * expf(mine.top - top);
#pragma unroll
    for (int k = 0; k < V; ++k) {
      if (k >= count) continue;
      total += expf(v[k] - top);
      logits += v[k];
    }
    mine = {top, total};
  });
  double expected = static_cast<double>(spread) * static_cast<double>(logits);  // Σ t_j z_j
  if (spread == 0) expected = 0;
  for (int64_t k = threadIdx.x; k < row.count; k += threads) {
    expected += static_cast<double>(share) * static_cast<double>(row.z[row.tags[k]]);
  }
  const Exponentials all = block_merge(mine);
  expected = block_sum(expected);
  if (threadIdx.x == 0) {
    args.row_loss[i] = static_cast<double>(factor) * (log(static_cast<double>(all.total)) +
                                                      static_cast<double>(all.top) - expected);
  }

  const float inverse = 1 / all.total;
  const auto slope = [&](float z, float target) {
    return (expf(z - all.top) * inverse - target) * one_over_n;
  };
  for_share<V>(row.z, args.tags, [&](int64_t j, const float(&v)[V], int count) {
    float g[V];
#pragma unroll
    for (int k = 0; k < V; ++k) g[k] = k < count ? slope(v[k], spread) : 0.0F;
    store(gradient + j, g);
  });
  clear(gradient, (args.tags + V - 1) / V * V, args.stride);
  __syncthreads();
  for (int64_t k = threadIdx.x; k < row.count; k += threads) {
    const int times = occurrences(row, k);
    if (times == 0) continue;
    const int32_t tag = row.tags[k];
    const float g[1] = {slope(row.z[tag], spread + static_cast<float>(times) * share)};
    store(gradient + tag, g);
  }
}

template <class T, int V>
__global__ void __launch_bounds__(threads)
    sigmoid_kernel(TagLossArgs args, T* __restrict__ gradients) {
  const int64_t i = blockIdx.x;
  const Row row = row_of(args, i);
  T* gradient = gradients + i * args.stride;
  const float low = args.smoothing / 2;
  const float factor = weight_of(args, i);
  const float one_over_n = factor * (args.weight / static_cast<float>(args.n));
  const auto slope = [&](float z, float target) {
    return (1 / (1 + expf(-z)) - target) * one_over_n;
  };
  double loss = 0;
  for_share<V>(row.z, args.tags, [&](int64_t j, const float(&v)[V], int count) {
    float g[V] = {};
    float sum = 0;
#pragma unroll
    for (int k = 0; k < V; ++k) {
      if (k >= count) continue;
      const float positive = v[k] < 0 ? 0.0F : v[k];  // a NaN stays one
      sum += positive + log1pf(expf(-fabsf(v[k]))) - low * v[k];
      g[k] = slope(v[k], low);
    }
    loss += static_cast<double>(sum);
    store(gradient + j, g);
  });
  clear(gradient, (args.tags + V - 1) / V * V, args.stride);
  const float share = 1 - args.smoothing;
  for (int64_t k = threadIdx.x; k < row.count; k += threads) {
    loss -= static_cast<double>(share * row.z[row.tags[k]]);
  }
  loss = block_sum(loss);  // a barrier, too: the gradients above are written
  if (threadIdx.x == 0) args.row_loss[i] = static_cast<double>(factor) * loss;
  for (int64_t k = threadIdx.x; k < row.count; k += threads) {
    const int times = occurrences(row, k);
    if (times == 0) continue;
    const int32_t tag = row.tags[k];
    const float g[1] = {slope(row.z[tag], low + static_cast<float>(times) * share)};
    store(gradient + tag, g);
  }
}

/// One block: loss_sum += mean of the rows' losses.
__global__ void __launch_bounds__(threads)
    loss_sum_kernel(const double* __restrict__ row_loss, int64_t n, double* loss_sum) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += threads) sum += row_loss[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *loss_sum += sum / static_cast<double>(n);
}

template <class T, int V>
void run_loss(const TagLossArgs& args, Stream stream) {
  const auto kernel = args.kind == LossKind::softmax ? softmax_kernel<T, V> : sigmoid_kernel<T, V>;
  launch("loss", kernel, dim3(static_cast<unsigned>(args.n)), threads, threads * sizeof(double),
         stream, args, static_cast<T*>(args.gradient.data));
}

}  // namespace

void tag_loss(const TagLossArgs& given, Stream stream) {
  TagLossArgs args = given;
  if (args.stride == 0) args.stride = args.tags;
  const bool aligned = args.stride % 4 == 0;
  if (args.gradient.precision == Precision::bf16) {
    aligned ? run_loss<BFloat16, 4>(args, stream) : run_loss<BFloat16, 1>(args, stream);
  } else {
    aligned ? run_loss<float, 4>(args, stream) : run_loss<float, 1>(args, stream);
  }
  if (args.loss_sum != nullptr) add_mean_loss(args.row_loss, args.n, args.loss_sum, stream);
}

void add_mean_loss(const double* row_loss, int64_t n, double* sum, Stream stream) {
  launch("loss", loss_sum_kernel, dim3(1), threads, threads * sizeof(double), stream, row_loss, n,
         sum);
}

}  // namespace hardmoe::cuda
