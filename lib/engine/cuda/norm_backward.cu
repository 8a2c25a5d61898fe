// Batch norm backwards, with the ReLU and the add that followed it: one pass for the two sums over
// rows, one for dx, the second from the last row to the first as in norm_forward.cu. With b bytes
// an element, m those of the ReLU's mask (0 from x, b from y, 1/8 or 1/4 as bits):
//   sums    2b + m, + b for dy2, + b where g is kept      dx    3b
// Keeping g costs less than reading all that makes it a second time.
#include "engine/cuda/norm_sums.cuh"
#include "engine/cuda/pack.cuh"

namespace hardmoe::cuda {
namespace {

enum class MaskFrom { none, bits, y, x };

template <class T>
struct BackwardArgs {
  const T* x;
  const T* y;
  const uint8_t* mask;
  T* dy;
  const T* dy2;
  T* dx;
  const float* mean;
  const float* scale;
  const float* shift;
  bool keep_g;
  int64_t rows;
  int64_t channels;
};

/// One access to each array, as it lies in memory; what is not used takes no registers.
template <class T, int V, MaskFrom from>
struct Words {
  Pack<T, V> x, dy, dy2, y;
  uint8_t bits;

  __device__ __forceinline__ void load(const BackwardArgs<T>& args, int64_t at, bool two) {
    x = load_pack<V>(args.x + at);
    dy = load_pack<V>(args.dy + at);
    if (two) dy2 = load_pack<V>(args.dy2 + at);
    if constexpr (from == MaskFrom::y) y = load_pack<V>(args.y + at);
    if constexpr (from == MaskFrom::bits) bits = args.mask[at / V];
  }
  /// Sets those of g to 0 that the ReLU held back.
  __device__ __forceinline__ void mask(const float (&in)[V], const float (&scale)[V],
                                       const float (&shift)[V], float (&g)[V]) const {
    float out[V];
    if constexpr (from == MaskFrom::y) y.unpack(out);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      bool pass = true;
      if constexpr (from == MaskFrom::y) pass = out[i] > 0;
      if constexpr (from == MaskFrom::bits) pass = (bits >> i & 1) != 0;
      if constexpr (from == MaskFrom::x) pass = fmaf(in[i], scale[i], shift[i]) > 0;
      if (!pass) g[i] = 0;
    }
  }
};

/// Σg and Σg·(x−mean) of a block's rows; g is kept in dy if asked.
template <class T, int V, MaskFrom from>
__global__ void __launch_bounds__(tile_threads, backward_blocks)
    reduce_kernel(BackwardArgs<T> args, Tiles tiles, float* __restrict__ partials) {
  constexpr int batch = 4;
  const Place place = place_in(tiles, V, args.channels);
  float sums[2 * V] = {};
  if (place.inside) {
    float mean[V], scale[V] = {}, shift[V] = {};
    load(args.mean + place.channel, mean);
    if constexpr (from == MaskFrom::x) {
      load(args.scale + place.channel, scale);
      load(args.shift + place.channel, shift);
    }
    const bool two = args.dy2 != nullptr;
    const auto take = [&](int64_t at, const Words<T, V, from>& words) {
      float in[V], g[V];
      words.x.unpack(in);
      words.dy.unpack(g);
      if (two) {
        float more[V];
        words.dy2.unpack(more);
#pragma unroll
        for (int i = 0; i < V; ++i) g[i] += more[i];
      }
      words.mask(in, scale, shift, g);
      if (args.keep_g) store(args.dy + at, g);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        sums[i] += g[i];
        sums[V + i] = fmaf(g[i], in[i] - mean[i], sums[V + i]);
      }
    };
    const int64_t step = place.step * args.channels;
    int64_t row = place.row;
    int64_t at = row * args.channels + place.channel;
    for (; row + (batch - 1) * place.step < args.rows; row += batch * place.step) {
      Words<T, V, from> words[batch];
#pragma unroll
      for (int u = 0; u < batch; ++u) words[u].load(args, at + u * step, two);
#pragma unroll
      for (int u = 0; u < batch; ++u) take(at + u * step, words[u]);
      at += batch * step;
    }
    for (; row < args.rows; row += place.step, at += step) {
      Words<T, V, from> words;
      words.load(args, at, two);
      take(at, words);
    }
  }
  sum_over_lanes(tiles, place.lane, sums);
  if (place.inside && place.lane == 0) {
    leave_sums<V>(sums, place.channel, args.channels, partials);
  }
}

/// dx = a·g + (b·x + c), per channel: three arrays of C floats.
__global__ void __launch_bounds__(tile_threads)
    reduce_finish_kernel(const float* __restrict__ partials, int parts, int64_t rows,
                         int64_t channels, const float* __restrict__ gamma,
                         const float* __restrict__ mean, const float* __restrict__ inverse,
                         float* __restrict__ d_gamma, float* __restrict__ d_beta,
                         float* __restrict__ affine) {
  const ChannelSums sums = channel_sums(partials, parts, channels);
  if (!sums.complete) return;
  const int64_t i = sums.channel;
  const double count = static_cast<double>(rows);
  const double one_over_sigma = static_cast<double>(inverse[i]);
  const double on_gamma = sums.second * one_over_sigma;
  const double slope = static_cast<double>(gamma[i]) * one_over_sigma;
  const double on_x = -slope * one_over_sigma * on_gamma / count;
  d_beta[i] = static_cast<float>(sums.first);
  d_gamma[i] = static_cast<float>(on_gamma);
  affine[i] = static_cast<float>(slope);
  affine[channels + i] = static_cast<float>(on_x);
  affine[2 * channels + i] =
      static_cast<float>(-slope * sums.first / count - on_x * static_cast<double>(mean[i]));
}

/// dx may be dy: an element is read before it is written, by the same thread.
template <class T, int V, MaskFrom from>
__global__ void __launch_bounds__(tile_threads, 3)
    differentiate_kernel(BackwardArgs<T> args, Tiles tiles, const float* __restrict__ affine) {
  constexpr int batch = V == 8 ? 2 : 4;
  const Place place = place_in(tiles, V, args.channels);
  if (!place.inside) return;
  float a[V], b[V], c[V], scale[V] = {}, shift[V] = {};
  load(affine + place.channel, a);
  load(affine + args.channels + place.channel, b);
  load(affine + 2 * args.channels + place.channel, c);
  if constexpr (from == MaskFrom::x) {
    load(args.scale + place.channel, scale);
    load(args.shift + place.channel, shift);
  }
  const auto put = [&](int64_t at, const Words<T, V, from>& words) {
    float in[V], g[V];
    words.x.unpack(in);
    words.dy.unpack(g);
    words.mask(in, scale, shift, g);
#pragma unroll
    for (int i = 0; i < V; ++i) g[i] = fmaf(g[i], a[i], fmaf(in[i], b[i], c[i]));
    store(args.dx + at, g);
  };
  const int64_t step = place.step * args.channels;
  int64_t row = place.row;
  int64_t at = (args.rows - 1 - row) * args.channels + place.channel;
  for (; row + (batch - 1) * place.step < args.rows; row += batch * place.step) {
    Words<T, V, from> words[batch];
#pragma unroll
    for (int u = 0; u < batch; ++u) words[u].load(args, at - u * step, false);
#pragma unroll
    for (int u = 0; u < batch; ++u) put(at - u * step, words[u]);
    at -= batch * step;
  }
  for (; row < args.rows; row += place.step, at -= step) {
    Words<T, V, from> words;
    words.load(args, at, false);
    put(at, words);
  }
}

template <class T, int V, MaskFrom from>
void run_backward(const NormBackward& args, Stream stream) {
  const BackwardArgs<T> pointers{static_cast<const T*>(args.x.data),
                                 static_cast<const T*>(args.y.data),
                                 args.mask,
                                 static_cast<T*>(args.dy.data),
                                 static_cast<const T*>(args.dy2.data),
                                 static_cast<T*>(args.dx.data),
                                 args.state.mean,
                                 args.state.scale,
                                 args.state.shift,
                                 args.keep_g,
                                 args.rows,
                                 args.channels};
  const Tiles tiles = reduction_tiles(args.rows, args.channels / V, backward_blocks);
  float* affine = args.workspace + int64_t{2} * tiles.parts * args.channels;
  launch("norm backward sums", reduce_kernel<T, V, from>, tiles.grid(), tile_threads,
         lane_sum_bytes(2 * V), stream, pointers, tiles, args.workspace);
  launch("norm backward sums", reduce_finish_kernel, channel_sum_grid(args.channels), tile_threads,
         channel_sum_bytes, stream, args.workspace, tiles.parts, args.rows, args.channels,
         args.gamma, args.state.mean, args.state.inverse_deviation, args.d_gamma, args.d_beta,
         affine);
  // A kept g has the mask in it already.
  const auto kernel =
      args.keep_g ? differentiate_kernel<T, V, MaskFrom::none> : differentiate_kernel<T, V, from>;
  const Tiles strides = apply_tiles(args.rows, args.channels / V);
  launch("norm backward", kernel, strides.grid(), tile_threads, 0, stream, pointers, strides,
         affine);
}

// ---- with constant scale and shift ----

template <class T>
struct FrozenArgs {
  const T* y;
  T* dy;
  const T* dy2;
  T* dx;
  const float* scale;
  int64_t accesses, channels;
};

template <class T, int V>
__global__ void __launch_bounds__(tile_threads) frozen_kernel(FrozenArgs<T> args) {
  const int64_t step = int64_t{gridDim.x} * tile_threads;
  for (int64_t i = int64_t{blockIdx.x} * tile_threads + threadIdx.x; i < args.accesses; i += step) {
    const int64_t at = i * V;
    float g[V], other[V], factor[V];
    load(args.dy + at, g);
    if (args.dy2 != nullptr) {
      load(args.dy2 + at, other);
#pragma unroll
      for (int k = 0; k < V; ++k) g[k] += other[k];
    }
    if (args.y != nullptr) {
      load(args.y + at, other);
#pragma unroll
      for (int k = 0; k < V; ++k) g[k] = other[k] > 0 ? g[k] : 0.0F;
    }
    store(args.dy + at, g);
    if (args.dx == nullptr) continue;
    load(args.scale + at % args.channels, factor);
#pragma unroll
    for (int k = 0; k < V; ++k) g[k] *= factor[k];
    store(args.dx + at, g);
  }
}

}  // namespace

void frozen_norm_backward(const FrozenNormBackward& args, Stream stream) {
  with_access(args.dy.precision, args.channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const int64_t accesses = args.rows * args.channels / width;
    const FrozenArgs<T> pointers{static_cast<const T*>(args.y.data),
                                 static_cast<T*>(args.dy.data),
                                 static_cast<const T*>(args.dy2.data),
                                 static_cast<T*>(args.dx.data),
                                 args.scale,
                                 accesses,
                                 args.channels};
    launch("frozen norm backward", frozen_kernel<T, width>,
           striding_grid(divide_up(accesses, tile_threads)), tile_threads, 0, stream, pointers);
  });
}

int64_t norm_workspace_floats(int64_t rows, int64_t channels) {
  int64_t parts = 0;  // of either precision and direction
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    for (const int blocks : {statistics_blocks, backward_blocks}) {
      const int64_t accesses = channels / access_width(precision, channels);
      const Tiles tiles = reduction_tiles(rows, accesses, blocks);
      if (tiles.parts > parts) parts = tiles.parts;
    }
  }
  return (2 * parts + 3) * channels;
}

void norm_backward(const NormBackward& args, Stream stream) {
  with_access(args.x.precision, args.channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    if (!args.relu) {
      run_backward<T, width, MaskFrom::none>(args, stream);
    } else if (width > 1 && args.mask != nullptr) {
      run_backward<T, width, MaskFrom::bits>(args, stream);
    } else if (args.y) {
      run_backward<T, width, MaskFrom::y>(args, stream);
    } else {
      run_backward<T, width, MaskFrom::x>(args, stream);
    }
  });
}

}  // namespace hardmoe::cuda
