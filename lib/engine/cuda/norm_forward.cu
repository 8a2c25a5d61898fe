// Batch norm forwards. Elements of x are read twice, once for the statistics and once to be scaled;
// the second pass walks from the last row to the first, because what the first pass read last is
// still in the L2 cache. With b bytes an element:
//   statistics       b            apply            2b (3b with a residual) + mask
#include "engine/cuda/norm_sums.cuh"
#include "engine/cuda/pack.cuh"
#include "nn/network.h"

namespace hardmoe::cuda {
namespace {

// ---- statistics ----

/// Σ(x−x0) and Σ(x−x0)² of a block's rows; x0 is row 0, near enough to the mean that little
/// cancels.
template <class T, int V>
__global__ void __launch_bounds__(tile_threads, statistics_blocks)
    statistics_kernel(const T* __restrict__ x, int64_t rows, int64_t channels, Tiles tiles,
                      float* __restrict__ partials) {
  constexpr int batch = 4;
  const Place place = place_in(tiles, V, channels);
  float sums[2 * V] = {};
  if (place.inside) {
    const T* column = x + place.channel;
    float origin[V];
    load(column, origin);
    const auto take = [&](const Pack<T, V>& words) {
      float v[V];
      words.unpack(v);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const float d = v[i] - origin[i];
        sums[i] += d;
        sums[V + i] = fmaf(d, d, sums[V + i]);
      }
    };
    int64_t row = place.row;
    for (; row + (batch - 1) * place.step < rows; row += batch * place.step) {
      Pack<T, V> words[batch];
#pragma unroll
      for (int u = 0; u < batch; ++u) {
        words[u] = load_pack<V>(column + (row + u * place.step) * channels);
      }
#pragma unroll
      for (int u = 0; u < batch; ++u) take(words[u]);
    }
    for (; row < rows; row += place.step) take(load_pack<V>(column + row * channels));
  }
  sum_over_lanes(tiles, place.lane, sums);
  if (place.inside && place.lane == 0) {
    leave_sums<V>(sums, place.channel, channels, partials);
  }
}

/// The constants of nn/network.h and what a channel's moments are turned into.
struct FinishArgs {
  int64_t rows;
  int64_t channels;
  const float* gamma;
  const float* beta;
  float* running_mean;
  float* running_var;
  NormState state;
  float epsilon;
  float momentum;
  float unbias;  ///< rows/(rows − 1); of one row not used
};

__device__ __forceinline__ void finish_channel(const FinishArgs& args, int64_t c, double average,
                                               double square_deviation) {
  const float mean = static_cast<float>(average);
  const float variance = static_cast<float>(square_deviation > 0 ? square_deviation : 0.0);
  args.running_mean[c] += args.momentum * (mean - args.running_mean[c]);
  if (args.rows > 1)
    args.running_var[c] += args.momentum * (variance * args.unbias - args.running_var[c]);
  const float inverse = 1 / sqrtf(variance + args.epsilon);
  const float scale = args.gamma[c] * inverse;
  args.state.mean[c] = mean;
  args.state.inverse_deviation[c] = inverse;
  args.state.scale[c] = scale;
  args.state.shift[c] = args.beta[c] - mean * scale;
}

template <class T>
__global__ void __launch_bounds__(tile_threads)
    statistics_finish_kernel(FinishArgs args, const T* __restrict__ x,
                             const float* __restrict__ partials, int parts) {
  const ChannelSums sums = channel_sums(partials, parts, args.channels);
  if (!sums.complete) return;
  float origin[1];
  load(x + sums.channel, origin);
  const double count = static_cast<double>(args.rows);
  const double shifted = sums.first / count;
  finish_channel(args, sums.channel, static_cast<double>(origin[0]) + shifted,
                 sums.second / count - shifted * shifted);
}

__global__ void __launch_bounds__(tile_threads)
    given_sums_kernel(FinishArgs args, const float* __restrict__ sum,
                      const float* __restrict__ squares) {
  const int64_t c = int64_t{blockIdx.x} * tile_threads + threadIdx.x;
  if (c >= args.channels) return;
  const double count = static_cast<double>(args.rows);
  const double mean = static_cast<double>(sum[c]) / count;
  finish_channel(args, c, mean, static_cast<double>(squares[c]) / count - mean * mean);
}

__global__ void __launch_bounds__(tile_threads)
    coefficients_kernel(const float* __restrict__ gamma, const float* __restrict__ beta,
                        const float* __restrict__ mean, const float* __restrict__ variance,
                        int64_t channels, float epsilon, float* __restrict__ scale,
                        float* __restrict__ shift) {
  const int64_t c = int64_t{blockIdx.x} * tile_threads + threadIdx.x;
  if (c >= channels) return;
  const float slope = gamma[c] * (1 / sqrtf(variance[c] + epsilon));
  scale[c] = slope;
  shift[c] = beta[c] - mean[c] * slope;
}

FinishArgs finish_args(const NormStatistics& args) {
  return {args.rows,           args.channels,
          args.gamma,          args.beta,
          args.running_mean,   args.running_var,
          args.state,          batch_norm_epsilon,
          batch_norm_momentum, static_cast<float>(args.rows) / static_cast<float>(args.rows - 1)};
}

// ---- apply ----

/// y may be x or the residual: an element is read before it is written, by the same thread.
template <class T, int V, bool added>
__global__ void __launch_bounds__(tile_threads, 3)
    apply_kernel(const T* x, const T* residual, T* y, uint8_t* __restrict__ mask,
                 const float* __restrict__ scale, const float* __restrict__ shift, bool relu,
                 int64_t rows, int64_t channels, Tiles tiles) {
  constexpr int batch = added ? 2 : 4;
  const Place place = place_in(tiles, V, channels);
  if (!place.inside) return;
  float slope[V], offset[V];
  load(scale + place.channel, slope);
  load(shift + place.channel, offset);
  const auto put = [&](int64_t at, const Pack<T, V>& in, const Pack<T, V>& more) {
    float v[V], term[V];
    in.unpack(v);
    if (added) more.unpack(term);
    uint32_t positive = 0;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      float value = fmaf(v[i], slope[i], offset[i]);
      if (added) value += term[i];
      if (relu && value < 0) value = 0;  // a NaN stays one
      v[i] = value;
      positive |= (value > 0 ? 1U : 0U) << i;
    }
    store(y + at, v);
    if (mask != nullptr) mask[at / V] = static_cast<uint8_t>(positive);
  };
  const int64_t last = (rows - 1) * channels + place.channel;
  int64_t row = place.row;
  for (; row + (batch - 1) * place.step < rows; row += batch * place.step) {
    Pack<T, V> in[batch], more[batch];
#pragma unroll
    for (int u = 0; u < batch; ++u) {
      const int64_t at = last - (row + u * place.step) * channels;
      in[u] = load_pack<V>(x + at);
      if (added) more[u] = load_pack<V>(residual + at);
    }
#pragma unroll
    for (int u = 0; u < batch; ++u) {
      put(last - (row + u * place.step) * channels, in[u], more[u]);
    }
  }
  for (; row < rows; row += place.step) {
    const int64_t at = last - row * channels;
    put(at, load_pack<V>(x + at), load_pack<V>((added ? residual : x) + at));
  }
}

}  // namespace

void norm_statistics(const NormStatistics& args, Stream stream) {
  with_access(args.x.precision, args.channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const T* x = static_cast<const T*>(args.x.data);
    const Tiles tiles = reduction_tiles(args.rows, args.channels / width, statistics_blocks);
    launch("norm statistics", statistics_kernel<T, width>, tiles.grid(), tile_threads,
           lane_sum_bytes(2 * width), stream, x, args.rows, args.channels, tiles, args.workspace);
    launch("norm statistics", statistics_finish_kernel<T>, channel_sum_grid(args.channels),
           tile_threads, channel_sum_bytes, stream, finish_args(args), x, args.workspace,
           tiles.parts);
  });
}

void norm_statistics_from_sums(const NormStatistics& args, const float* sum, const float* squares,
                               Stream stream) {
  const dim3 grid(static_cast<unsigned>(divide_up(args.channels, tile_threads)));
  launch("norm statistics", given_sums_kernel, grid, tile_threads, 0, stream, finish_args(args),
         sum, squares);
}

void norm_coefficients(const float* gamma, const float* beta, const float* running_mean,
                       const float* running_var, int64_t channels, float* scale, float* shift,
                       Stream stream) {
  const dim3 grid(static_cast<unsigned>(divide_up(channels, tile_threads)));
  launch("norm coefficients", coefficients_kernel, grid, tile_threads, 0, stream, gamma, beta,
         running_mean, running_var, channels, batch_norm_epsilon, scale, shift);
}

void norm_apply(const NormApply& args, Stream stream) {
  with_access(args.x.precision, args.channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const Tiles tiles = apply_tiles(args.rows, args.channels / width);
    const auto kernel =
        args.residual ? apply_kernel<T, width, true> : apply_kernel<T, width, false>;
    launch("norm apply", kernel, tiles.grid(), tile_threads, 0, stream,
           static_cast<const T*>(args.x.data), static_cast<const T*>(args.residual.data),
           static_cast<T*>(args.y.data), width > 1 ? args.mask : nullptr, args.scale, args.shift,
           args.relu, args.rows, args.channels, tiles);
  });
}

}  // namespace hardmoe::cuda
