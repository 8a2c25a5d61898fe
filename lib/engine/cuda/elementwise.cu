// Images in, conversions, sums of two arrays, the gradient of a bias: see kernels.h.
#include "engine/cuda/pack.cuh"
#include "engine/cuda/tiles.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = 256;
constexpr int batch = 4;  // accesses of a thread under way at once

__device__ __forceinline__ int64_t first_index() {
  return int64_t{blockIdx.x} * threads + threadIdx.x;
}
__device__ __forceinline__ int64_t index_step() { return int64_t{gridDim.x} * threads; }

// ---- images: 3 bytes read a pixel, channels·sizeof(T) written ----

struct PixelArgs {
  const uint8_t* pixels;
  int64_t n;
  int channels;
  float scale[3];
  float shift[3];
};

/// A pixel a thread: the bytes of a warp are contiguous, and so are its stores of C channels.
template <class T, int C>
__global__ void __launch_bounds__(threads) pixels_kernel(PixelArgs args, T* __restrict__ out) {
  const uint8_t* __restrict__ pixels = args.pixels;
  const auto put = [&](int64_t i, const uint8_t(&rgb)[3]) {
    float v[C] = {};
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      v[c] = fmaf(static_cast<float>(rgb[c]), args.scale[c], args.shift[c]);
    }
    store(out + i * C, v);
  };
  const int64_t step = index_step();
  int64_t i = first_index();
  for (; i + (batch - 1) * step < args.n; i += batch * step) {
    uint8_t rgb[batch][3];
#pragma unroll
    for (int u = 0; u < batch; ++u) {
#pragma unroll
      for (int c = 0; c < 3; ++c) rgb[u][c] = pixels[3 * (i + u * step) + c];
    }
#pragma unroll
    for (int u = 0; u < batch; ++u) put(i + u * step, rgb[u]);
  }
  for (; i < args.n; i += step) {
    const uint8_t rgb[3] = {pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]};
    put(i, rgb);
  }
}

/// Any number of channels, an element a thread.
template <class T>
__global__ void __launch_bounds__(threads) odd_pixels_kernel(PixelArgs args, T* __restrict__ out) {
  const int64_t n = args.n * args.channels;
  for (int64_t i = first_index(); i < n; i += index_step()) {
    const int64_t pixel = i / args.channels;
    const int c = static_cast<int>(i - pixel * args.channels);
    float v[1] = {};
    const float scale = c == 0 ? args.scale[0] : c == 1 ? args.scale[1] : args.scale[2];
    const float shift = c == 0 ? args.shift[0] : c == 1 ? args.shift[1] : args.shift[2];
    if (c < 3) v[0] = fmaf(static_cast<float>(args.pixels[3 * pixel + c]), scale, shift);
    store(out + i, v);
  }
}

template <class T>
void run_pixels(const PixelArgs& args, T* out, Stream stream) {
  const char* name = "normalize images";
  if (args.channels == 4 || args.channels == 8) {
    const dim3 grid = striding_grid(divide_up(args.n, threads * batch));
    const auto kernel = args.channels == 4 ? pixels_kernel<T, 4> : pixels_kernel<T, 8>;
    launch(name, kernel, grid, threads, 0, stream, args, out);
  } else {
    const dim3 grid = striding_grid(divide_up(args.n * args.channels, threads));
    launch(name, odd_pixels_kernel<T>, grid, threads, 0, stream, args, out);
  }
}

// ---- conversions and sums: accesses in batches, then one by one, then the last few elements ----

template <class From, class To>
__global__ void __launch_bounds__(threads)
    convert_kernel(const From* __restrict__ in, int64_t n, To* __restrict__ out) {
  constexpr int width = 4;
  const int64_t whole = n / width;
  const int64_t step = index_step();
  const auto put = [&](int64_t i, const Pack<From, width>& words) {
    float v[width];
    words.unpack(v);
    store(out + i * width, v);
  };
  int64_t i = first_index();
  for (; i + (batch - 1) * step < whole; i += batch * step) {
    Pack<From, width> words[batch];
#pragma unroll
    for (int u = 0; u < batch; ++u) words[u] = load_pack<width>(in + (i + u * step) * width);
#pragma unroll
    for (int u = 0; u < batch; ++u) put(i + u * step, words[u]);
  }
  for (; i < whole; i += step) put(i, load_pack<width>(in + i * width));
  const int64_t rest = whole * width + first_index();
  if (rest < n) {
    float v[1];
    load(in + rest, v);
    store(out + rest, v);
  }
}

/// out may be a or b: each element is read before it is written, by the same thread.
template <class T, int V>
__device__ __forceinline__ void put_sum(const Pack<T, V>& a, const Pack<T, V>& b, T* out) {
  float sum[V], term[V];
  a.unpack(sum);
  b.unpack(term);
#pragma unroll
  for (int v = 0; v < V; ++v) sum[v] += term[v];
  store(out, sum);
}

template <class T, int V>
__global__ void __launch_bounds__(threads) add_kernel(const T* a, const T* b, int64_t n, T* out) {
  const int64_t whole = n / V;
  const int64_t step = index_step();
  int64_t i = first_index();
  for (; i + step < whole; i += 2 * step) {
    const int64_t first = i * V, second = (i + step) * V;
    const Pack<T, V> left[2] = {load_pack<V>(a + first), load_pack<V>(a + second)};
    const Pack<T, V> right[2] = {load_pack<V>(b + first), load_pack<V>(b + second)};
    put_sum(left[0], right[0], out + first);
    put_sum(left[1], right[1], out + second);
  }
  for (; i < whole; i += step) {
    put_sum(load_pack<V>(a + i * V), load_pack<V>(b + i * V), out + i * V);
  }
  const int64_t rest = whole * V + first_index();
  if (rest < n) put_sum(load_pack<1>(a + rest), load_pack<1>(b + rest), out + rest);
}

__global__ void __launch_bounds__(threads) scale_kernel(float* values, int64_t n, float factor) {
  for (int64_t i = first_index(); i < n; i += index_step()) values[i] *= factor;
}

// ---- sums over rows: dy read once ----

template <class T, int V>
__global__ void __launch_bounds__(tile_threads)
    bias_gradient_kernel(const T* __restrict__ dy, int64_t rows, int64_t columns, Tiles tiles,
                         float* __restrict__ out) {
  const Place place = place_in(tiles, V, columns);
  float sums[V] = {};
  if (place.inside) {
#pragma unroll 4
    for (int64_t row = place.row; row < rows; row += place.step) {
      float v[V];
      load(dy + row * columns + place.channel, v);
#pragma unroll
      for (int i = 0; i < V; ++i) sums[i] += v[i];
    }
  }
  sum_over_lanes(tiles, place.lane, sums);
  if (place.inside && place.lane == 0) store(out + place.channel, sums);
}

}  // namespace

void normalize_images(const ImageInput& args, Stream stream) {
  if (args.n == 0) return;
  PixelArgs pixels{args.pixels, args.n, static_cast<int>(args.channels), {}, {}};
  for (int c = 0; c < 3; ++c) {
    pixels.scale[c] = 1 / args.deviation[c];
    pixels.shift[c] = -args.mean[c] / args.deviation[c];
  }
  if (args.out.precision == Precision::bf16) {
    run_pixels(pixels, static_cast<BFloat16*>(args.out.data), stream);
  } else {
    run_pixels(pixels, static_cast<float*>(args.out.data), stream);
  }
}

void convert(const float* in, int64_t n, Activations out, Stream stream) {
  if (n == 0) return;
  const dim3 grid = striding_grid(divide_up(n, 4 * threads * batch));
  if (out.precision == Precision::bf16) {
    launch("convert", convert_kernel<float, BFloat16>, grid, threads, 0, stream, in, n,
           static_cast<BFloat16*>(out.data));
  } else {
    launch("convert", convert_kernel<float, float>, grid, threads, 0, stream, in, n,
           static_cast<float*>(out.data));
  }
}

void to_float(Activations in, int64_t n, float* out, Stream stream) {
  if (n == 0) return;
  const dim3 grid = striding_grid(divide_up(n, 4 * threads * batch));
  if (in.precision == Precision::bf16) {
    launch("convert", convert_kernel<BFloat16, float>, grid, threads, 0, stream,
           static_cast<const BFloat16*>(in.data), n, out);
  } else {
    launch("convert", convert_kernel<float, float>, grid, threads, 0, stream,
           static_cast<const float*>(in.data), n, out);
  }
}

void add(Activations a, Activations b, int64_t n, Activations out, Stream stream) {
  if (n == 0) return;
  const auto run = [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const dim3 grid = striding_grid(divide_up(n, 2 * threads * width));
    launch("add", add_kernel<T, width>, grid, threads, 0, stream, static_cast<const T*>(a.data),
           static_cast<const T*>(b.data), n, static_cast<T*>(out.data));
  };
  a.precision == Precision::bf16 ? run(Access<BFloat16, 8>{}) : run(Access<float, 4>{});
}

void copy(Activations in, int64_t n, Activations out, Stream stream) {
  if (n == 0) return;
  const dim3 grid = striding_grid(divide_up(n, 4 * threads * batch));
  if (in.precision == Precision::bf16) {
    launch("copy", convert_kernel<BFloat16, BFloat16>, grid, threads, 0, stream,
           static_cast<const BFloat16*>(in.data), n, static_cast<BFloat16*>(out.data));
  } else {
    launch("copy", convert_kernel<float, float>, grid, threads, 0, stream,
           static_cast<const float*>(in.data), n, static_cast<float*>(out.data));
  }
}

void scale(float* values, int64_t n, float factor, Stream stream) {
  if (n == 0) return;
  launch("scale", scale_kernel, striding_grid(divide_up(n, threads)), threads, 0, stream, values, n,
         factor);
}

void bias_gradient(Activations dy, int64_t rows, int64_t columns, float* out, Stream stream) {
  with_access(dy.precision, columns, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    // One block below another would need a second kernel; narrow tiles give many lanes instead.
    const Tiles tiles = make_tiles(rows, columns / width, 1, 1, 8);
    launch("bias gradient", bias_gradient_kernel<T, width>, tiles.grid(), tile_threads,
           lane_sum_bytes(width), stream, static_cast<const T*>(dy.data), rows, columns, tiles,
           out);
  });
}

}  // namespace hardmoe::cuda
