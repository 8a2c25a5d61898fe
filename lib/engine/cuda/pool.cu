// Pooling. A thread takes one access of channels; the windows' overlap is served by the caches, so
// that device memory sees each array once. With b bytes an element: max pool b(in + out) + out for
// the index, both ways; average pool b·in + 4 or 6 bytes a result.
#include "engine/cuda/pack.cuh"
#include "engine/cuda/tiles.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = 256;
constexpr int64_t most_lines = 65535;  // blocks along y

/// Lines (an image's row) along y, accesses within a line along x.
dim3 line_grid(int64_t lines, int64_t accesses) {
  return dim3(static_cast<unsigned>(divide_up(accesses, threads)),
              static_cast<unsigned>(lines < most_lines ? lines : most_lines));
}

/// V winners' places as one access.
template <int V>
struct alignas(V) Places {
  uint8_t at[V];
};

template <class T, int V>
__global__ void __launch_bounds__(threads)
    max_pool_kernel(MaxPoolShape pool, const T* __restrict__ x, T* __restrict__ y,
                    uint8_t* __restrict__ index) {
  constexpr int batch = 3;
  constexpr uint8_t none = 255;  // has won yet
  const int groups = static_cast<int>(pool.channels / V);
  const int place = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const int column = place / groups;
  if (column >= pool.out_width) return;
  const int channel = (place - column * groups) * V;
  const int height = static_cast<int>(pool.height), width = static_cast<int>(pool.width);
  const int left = column * pool.stride - pool.padding;
  const int64_t lines = pool.n * pool.out_height;
  for (int64_t line = blockIdx.y; line < lines; line += gridDim.y) {
    const int64_t image = line / pool.out_height;
    const int top = static_cast<int>(line - image * pool.out_height) * pool.stride - pool.padding;
    float best[V];
    Places<V> winner;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      best[i] = -INFINITY;
      winner.at[i] = none;
    }
    for (int i = 0; i < pool.kernel; ++i) {
      const int row = top + i;
      if (row < 0 || row >= height) continue;
      const T* in = x + ((image * height + row) * width) * pool.channels + channel;
      for (int j = 0; j < pool.kernel; j += batch) {
        Pack<T, V> words[batch];
        bool held[batch];
#pragma unroll
        for (int u = 0; u < batch; ++u) {
          const int at = left + j + u;
          held[u] = j + u < pool.kernel && at >= 0 && at < width;
          if (held[u]) words[u] = load_pack<V>(in + at * pool.channels);
        }
#pragma unroll
        for (int u = 0; u < batch; ++u) {
          if (!held[u]) continue;
          const uint8_t here = static_cast<uint8_t>(i * pool.kernel + j + u);
          float v[V];
          words[u].unpack(v);
#pragma unroll
          for (int k = 0; k < V; ++k) {
            if (winner.at[k] == none || v[k] > best[k] || (isnan(v[k]) && !isnan(best[k]))) {
              best[k] = v[k];
              winner.at[k] = here;
            }
          }
        }
      }
    }
    const int64_t at = (line * pool.out_width + column) * pool.channels + channel;
    store(y + at, best);
    if (index != nullptr) *reinterpret_cast<Places<V>*>(index + at) = winner;
  }
}

template <class T, int V>
__global__ void __launch_bounds__(threads)
    max_pool_backward_kernel(MaxPoolShape pool, const T* __restrict__ dy,
                             const uint8_t* __restrict__ index, T* __restrict__ dx) {
  const int groups = static_cast<int>(pool.channels / V);
  const int place = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const int column = place / groups;
  if (column >= pool.width) return;
  const int channel = (place - column * groups) * V;
  const int height = static_cast<int>(pool.height);
  const int out_height = static_cast<int>(pool.out_height);
  const int out_width = static_cast<int>(pool.out_width);
  // Windows [first, last] along an axis hold position p (padding counted in).
  const auto first_window = [&](int p) {
    return p < pool.kernel ? 0 : (p - pool.kernel) / pool.stride + 1;
  };
  const auto last_window = [&](int p, int windows) {
    const int last = p / pool.stride;
    return last < windows ? last : windows - 1;
  };
  const int across = column + pool.padding;
  const int left = first_window(across), right = last_window(across, out_width);
  const int64_t lines = pool.n * pool.height;
  for (int64_t line = blockIdx.y; line < lines; line += gridDim.y) {
    const int64_t image = line / height;
    const int down = static_cast<int>(line - image * height) + pool.padding;
    const int bottom = last_window(down, out_height);
    float sum[V] = {};
    for (int i = first_window(down); i <= bottom; ++i) {
      for (int j = left; j <= right; ++j) {
        const int64_t at = ((image * out_height + i) * out_width + j) * pool.channels + channel;
        const Places<V> winner = *reinterpret_cast<const Places<V>*>(index + at);
        const int here = (down - i * pool.stride) * pool.kernel + across - j * pool.stride;
        float v[V];
        load(dy + at, v);
#pragma unroll
        for (int k = 0; k < V; ++k) sum[k] += winner.at[k] == here ? v[k] : 0.0F;
      }
    }
    store(dx + (line * pool.width + column) * pool.channels + channel, sum);
  }
}

// ---- average: a block an image and up to 32 accesses of channels ----

template <class T, int V>
__global__ void __launch_bounds__(tile_threads)
    average_pool_kernel(const T* __restrict__ x, int64_t n, int64_t positions, int64_t channels,
                        Tiles tiles, float* __restrict__ out) {
  Place place = place_in(tiles, V, channels);
  for (int64_t image = blockIdx.y; image < n; image += gridDim.y) {
    float sums[V] = {};
    if (place.inside) {
      const T* in = x + image * positions * channels + place.channel;
#pragma unroll 4
      for (int64_t p = place.lane; p < positions; p += tiles.lanes) {
        float v[V];
        load(in + p * channels, v);
#pragma unroll
        for (int i = 0; i < V; ++i) sums[i] += v[i];
      }
    }
    sum_over_lanes(tiles, place.lane, sums);
    if (place.inside && place.lane == 0) {
#pragma unroll
      for (int i = 0; i < V; ++i) sums[i] /= static_cast<float>(positions);
      const int64_t at = image * channels + place.channel;
      store(out + at, sums);
    }
  }
}

template <class From, class T, int V>
__global__ void __launch_bounds__(tile_threads)
    average_pool_backward_kernel(const From* __restrict__ dy, int64_t n, int64_t positions,
                                 int64_t channels, Tiles tiles, T* __restrict__ dx) {
  const Place place = place_in(tiles, V, channels);
  if (!place.inside) return;
  const float share = 1 / static_cast<float>(positions);
  for (int64_t image = blockIdx.y; image < n; image += gridDim.y) {
    float v[V];
    load(dy + image * channels + place.channel, v);
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] *= share;
    const Pack<T, V> words = Pack<T, V>::of(v);
    T* out = dx + image * positions * channels + place.channel;
    for (int64_t p = place.lane; p < positions; p += tiles.lanes) {
      *reinterpret_cast<Pack<T, V>*>(out + p * channels) = words;
    }
  }
}

/// A block an image along y.
Tiles image_tiles(int64_t n, int64_t accesses) {
  Tiles tiles = make_tiles(n, accesses, 1, 1);
  tiles.parts = static_cast<int>(n < most_lines ? n : most_lines);
  return tiles;
}

void check_window(const MaxPoolShape& pool) {
  if (pool.kernel < 1 || pool.kernel > 15) {
    launch_failed("max pool", "windows are 1×1 to 15×15");
  }
}

}  // namespace

void max_pool(const MaxPoolShape& pool, Activations x, Activations y, uint8_t* index,
              Stream stream) {
  check_window(pool);
  with_access(x.precision, pool.channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const dim3 grid = line_grid(pool.n * pool.out_height, pool.out_width * pool.channels / width);
    launch("max pool", max_pool_kernel<T, width>, grid, threads, 0, stream, pool,
           static_cast<const T*>(x.data), static_cast<T*>(y.data), index);
  });
}

void max_pool_backward(const MaxPoolShape& pool, Activations dy, const uint8_t* index,
                       Activations dx, Stream stream) {
  check_window(pool);
  with_access(dy.precision, pool.channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const dim3 grid = line_grid(pool.n * pool.height, pool.width * pool.channels / width);
    launch("max pool backward", max_pool_backward_kernel<T, width>, grid, threads, 0, stream, pool,
           static_cast<const T*>(dy.data), index, static_cast<T*>(dx.data));
  });
}

void average_pool(Activations x, int64_t n, int64_t positions, int64_t channels, float* out,
                  Stream stream) {
  with_access(x.precision, channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const Tiles tiles = image_tiles(n, channels / width);
    launch("average pool", average_pool_kernel<T, width>, tiles.grid(), tile_threads,
           lane_sum_bytes(width), stream, static_cast<const T*>(x.data), n, positions, channels,
           tiles, out);
  });
}

void average_pool_backward(Activations dy, int64_t n, int64_t positions, int64_t channels,
                           Activations dx, Stream stream) {
  with_access(dx.precision, channels, [&](auto access) {
    using T = typename decltype(access)::Type;
    constexpr int width = decltype(access)::width;
    const Tiles tiles = image_tiles(n, channels / width);
    const auto run = [&](const auto* from, auto kernel) {
      launch("average pool backward", kernel, tiles.grid(), tile_threads, 0, stream, from, n,
             positions, channels, tiles, static_cast<T*>(dx.data));
    };
    if (dy.precision == Precision::bf16) {
      run(static_cast<const BFloat16*>(dy.data), average_pool_backward_kernel<BFloat16, T, width>);
    } else {
      run(static_cast<const float*>(dy.data), average_pool_backward_kernel<float, T, width>);
    }
  });
}

}  // namespace hardmoe::cuda
