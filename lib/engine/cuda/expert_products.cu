#include "engine/cuda/expert_products.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/routing.cuh"

namespace hardmoe::cuda {
namespace {

// A block computes a tile of tile×tile sums; its threads, a square of side×side, each part×part of
// them. Both factors go through shared memory, `depth` terms at a time.
constexpr int tile = 64;
constexpr int part = 4;
constexpr int side = tile / part;
constexpr int threads = side * side;
constexpr int depth = 16;
constexpr size_t tile_bytes = 2 * depth * tile * sizeof(float);

template <class T>
__device__ __forceinline__ float read(const T* p) {
  float v[1];
  load(p, v);
  return v[0];
}
template <class T>
__device__ __forceinline__ void write(T* p, float value) {
  const float v[1] = {value};
  store(p, v);
}

/// sums += a·b for a tile: left(row of the tile, term) and right(term, column of the tile), for terms
/// 0 … terms − 1. Every thread of the block calls it.
template <class Left, class Right>
__device__ __forceinline__ void multiply_tile(int64_t terms, const Left& left, const Right& right,
                                              float (&sums)[part][part]) {
  float* a = reinterpret_cast<float*>(dynamic_shared);
  float* b = a + depth * tile;
  const int thread = static_cast<int>(threadIdx.x);
  const int top = thread / side, first = thread % side;
  for (int64_t begin = 0; begin < terms; begin += depth) {
    for (int i = thread; i < depth * tile; i += threads) {
      const int64_t term = begin + i / tile;
      const bool inside = term < terms;
      a[i] = inside ? left(i % tile, term) : 0.0F;
      b[i] = inside ? right(term, i % tile) : 0.0F;
    }
    __syncthreads();
#pragma unroll
    for (int d = 0; d < depth; ++d) {
#pragma unroll
      for (int i = 0; i < part; ++i) {
        const float factor = a[d * tile + top + i * side];
#pragma unroll
        for (int j = 0; j < part; ++j) {
          sums[i][j] = fmaf(factor, b[d * tile + first + j * side], sums[i][j]);
        }
      }
    }
    __syncthreads();
  }
}

/// Calls put(row of the tile, column of the tile, sum) for the thread's sums.
template <class Put>
__device__ __forceinline__ void for_sums(const float (&sums)[part][part], const Put& put) {
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < part; ++i) {
#pragma unroll
    for (int j = 0; j < part; ++j)
      put(thread / side + i * side, thread % side + j * side, sums[i][j]);
  }
}

/// The places of an expert's rows that a block computes, `tile` of them.
struct PlaceTile {
  int64_t expert;  ///< −1: there are no such places
  int64_t first;   ///< number among the places of all routed rows
  int64_t count;
};

/// Number `index` of all experts' tiles. Every thread gets the same.
__device__ __forceinline__ PlaceTile place_tile(const Routing& routing, int64_t positions,
                                                int64_t index) {
  for (int64_t e = 0; e < routing.layout.experts; ++e) {
    const int64_t places = routing.rows(e) * positions;
    const int64_t tiles = (places + tile - 1) / tile;
    if (index < tiles) {
      const int64_t left = places - index * tile;
      return {e, routing.first(e) * positions + index * tile, left < tile ? left : tile};
    }
    index -= tiles;
  }
  return {-1, 0, 0};
}

/// Where the tap of an output place reads: number of the input place; −1: padding.
__device__ __forceinline__ int64_t input_place(const ExpertShape& shape, int64_t place, int tap) {
  const int64_t positions = shape.out.height * shape.out.width;
  const int64_t row = place / positions, at = place % positions;
  const int64_t h =
      at / shape.out.width * shape.window.stride - shape.window.padding + tap / shape.window.kernel;
  const int64_t w =
      at % shape.out.width * shape.window.stride - shape.window.padding + tap % shape.window.kernel;
  if (h < 0 || h >= shape.in.height || w < 0 || w >= shape.in.width) return -1;
  return (row * shape.in.height + h) * shape.in.width + w;
}

/// The output place that reads an input place by a tap; −1: none.
__device__ __forceinline__ int64_t output_place(const ExpertShape& shape, int64_t place, int tap) {
  const int64_t positions = shape.in.height * shape.in.width;
  const int64_t row = place / positions, at = place % positions;
  const int64_t h = at / shape.in.width + shape.window.padding - tap / shape.window.kernel;
  const int64_t w = at % shape.in.width + shape.window.padding - tap % shape.window.kernel;
  const int64_t stride = shape.window.stride;
  if (h < 0 || w < 0 || h % stride != 0 || w % stride != 0) return -1;
  if (h / stride >= shape.out.height || w / stride >= shape.out.width) return -1;
  return (row * shape.out.height + h / stride) * shape.out.width + w / stride;
}

template <class T>
__global__ void __launch_bounds__(threads)
    forward_kernel(ExpertShape shape, const T* __restrict__ x, ExpertPointers<const void> weights,
                   ExpertPointers<const float> bias, T* __restrict__ y) {
  const Routing routing = {shape.routing, shape.layout};
  const PlaceTile places =
      place_tile(routing, shape.out.height * shape.out.width, int64_t{blockIdx.x});
  if (places.expert < 0) return;
  const T* w = static_cast<const T*>(weights.of[places.expert]);
  const int64_t first = int64_t{blockIdx.y} * tile;
  const int taps = shape.window.kernel * shape.window.kernel;
  float sums[part][part] = {};
  for (int tap = 0; tap < taps; ++tap) {
    multiply_tile(
        shape.in.channels,
        [&](int row, int64_t channel) {
          if (row >= places.count) return 0.0F;
          const int64_t from = input_place(shape, places.first + row, tap);
          return from < 0 ? 0.0F : read(x + from * shape.in.channels + channel);
        },
        [&](int64_t channel, int column) {
          const int64_t o = first + column;
          if (o >= shape.out.channels) return 0.0F;
          return read(w + (o * taps + tap) * shape.in.channels + channel);
        },
        sums);
  }
  const float* offsets = bias.of[places.expert];
  for_sums(sums, [&](int row, int column, float sum) {
    const int64_t o = first + column;
    if (row >= places.count || o >= shape.out.channels) return;
    write(y + (places.first + row) * shape.out.channels + o,
          offsets == nullptr ? sum : sum + offsets[o]);
  });
}

template <class T>
__global__ void __launch_bounds__(threads)
    backward_data_kernel(ExpertShape shape, const T* __restrict__ dy,
                         ExpertPointers<const void> weights, T* __restrict__ dx) {
  const Routing routing = {shape.routing, shape.layout};
  const PlaceTile places =
      place_tile(routing, shape.in.height * shape.in.width, int64_t{blockIdx.x});
  if (places.expert < 0) return;
  const T* w = static_cast<const T*>(weights.of[places.expert]);
  const int64_t first = int64_t{blockIdx.y} * tile;
  const int taps = shape.window.kernel * shape.window.kernel;
  float sums[part][part] = {};
  for (int tap = 0; tap < taps; ++tap) {
    multiply_tile(
        shape.out.channels,
        [&](int row, int64_t channel) {
          if (row >= places.count) return 0.0F;
          const int64_t from = output_place(shape, places.first + row, tap);
          return from < 0 ? 0.0F : read(dy + from * shape.out.channels + channel);
        },
        [&](int64_t channel, int column) {
          const int64_t i = first + column;
          if (i >= shape.in.channels) return 0.0F;
          return read(w + (channel * taps + tap) * shape.in.channels + i);
        },
        sums);
  }
  for_sums(sums, [&](int row, int column, float sum) {
    const int64_t i = first + column;
    if (row >= places.count || i >= shape.in.channels) return;
    write(dx + (places.first + row) * shape.in.channels + i, sum);
  });
}

/// A block an expert (z), a tile of outputs (y) and one of inputs of a tap (x).
template <class T>
__global__ void __launch_bounds__(threads)
    backward_weights_kernel(ExpertShape shape, const T* __restrict__ x, const T* __restrict__ dy,
                            ExpertPointers<float> gradients) {
  const Routing routing = {shape.routing, shape.layout};
  const int64_t positions = shape.out.height * shape.out.width;
  const int64_t expert = blockIdx.z;
  const int64_t begin = routing.first(expert) * positions;
  const int taps = shape.window.kernel * shape.window.kernel;
  const int tap = static_cast<int>(blockIdx.x) % taps;
  const int64_t first_in = int64_t{blockIdx.x} / taps * tile;
  const int64_t first_out = int64_t{blockIdx.y} * tile;
  float sums[part][part] = {};
  multiply_tile(
      routing.rows(expert) * positions,
      [&](int row, int64_t place) {
        const int64_t o = first_out + row;
        if (o >= shape.out.channels) return 0.0F;
        return read(dy + (begin + place) * shape.out.channels + o);
      },
      [&](int64_t place, int column) {
        const int64_t i = first_in + column;
        if (i >= shape.in.channels) return 0.0F;
        const int64_t from = input_place(shape, begin + place, tap);
        return from < 0 ? 0.0F : read(x + from * shape.in.channels + i);
      },
      sums);
  float* gradient = gradients.of[expert];
  for_sums(sums, [&](int row, int column, float sum) {
    const int64_t o = first_out + row, i = first_in + column;
    if (o >= shape.out.channels || i >= shape.in.channels) return;
    gradient[(o * taps + tap) * shape.in.channels + i] = sum;
  });
}

/// A block an expert (y) and `threads` outputs (x).
template <class T>
__global__ void __launch_bounds__(threads)
    bias_gradient_kernel(ExpertShape shape, const T* __restrict__ dy,
                         ExpertPointers<float> gradients) {
  const Routing routing = {shape.routing, shape.layout};
  const int64_t o = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (o >= shape.out.channels) return;
  const int64_t positions = shape.out.height * shape.out.width;
  const int64_t expert = blockIdx.y;
  const int64_t first = routing.first(expert) * positions;
  double sum = 0;
  for (int64_t place = 0; place < routing.rows(expert) * positions; ++place) {
    sum += static_cast<double>(read(dy + (first + place) * shape.out.channels + o));
  }
  gradients.of[expert][o] = static_cast<float>(sum);
}

/// Sets the rows of `array` that no expert got to zero.
template <class T>
__global__ void __launch_bounds__(threads)
    clear_unused_kernel(Routing routing, int64_t row, T* array) {
  const int64_t n = routing.layout.routed_rows() * row;
  for (int64_t i = routing.used() * row + int64_t{blockIdx.x} * threads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * threads) {
    write(array + i, 0.0F);
  }
}

/// As many blocks as all experts' tiles of places can be.
unsigned most_tiles(const ExpertShape& shape, const Extent& map) {
  const int64_t places = shape.layout.routed_rows() * map.positions();
  return static_cast<unsigned>(divide_up(places, tile) + shape.layout.experts);
}

unsigned tiles_of(int64_t channels) { return static_cast<unsigned>(divide_up(channels, tile)); }

}  // namespace

void clear_unused(const int32_t* routing, const RoutingLayout& layout, Activations array,
                  int64_t row, Stream stream) {
  with_type(array, [&]<class T>(T* data) {
    launch("unused rows", clear_unused_kernel<T>,
           striding_grid(divide_up(layout.routed_rows() * row, threads)), threads, 0, stream,
           Routing{routing, layout}, row, data);
  });
}

void expert_forward(const ExpertShape& shape, Activations x,
                    const ExpertPointers<const void>& weights,
                    const ExpertPointers<const float>* bias, Activations y, Stream stream) {
  const ExpertPointers<const float> none = {};
  with_type(x, [&]<class T>(T* in) {
    const dim3 grid(most_tiles(shape, shape.out), tiles_of(shape.out.channels));
    launch("experts' products", forward_kernel<T>, grid, threads, tile_bytes, stream, shape, in,
           weights, bias == nullptr ? none : *bias, static_cast<T*>(y.data));
  });
  clear_unused(shape.routing, shape.layout, y, shape.out.elements(), stream);
}

void expert_backward_data(const ExpertShape& shape, Activations dy,
                          const ExpertPointers<const void>& weights, Activations dx,
                          Stream stream) {
  with_type(dy, [&]<class T>(T* slope) {
    const dim3 grid(most_tiles(shape, shape.in), tiles_of(shape.in.channels));
    launch("experts' input gradients", backward_data_kernel<T>, grid, threads, tile_bytes, stream,
           shape, slope, weights, static_cast<T*>(dx.data));
  });
  clear_unused(shape.routing, shape.layout, dx, shape.in.elements(), stream);
}

void expert_backward_weights(const ExpertShape& shape, Activations x, Activations dy,
                             const ExpertPointers<float>& gradients, Stream stream) {
  const auto taps = static_cast<unsigned>(shape.window.kernel * shape.window.kernel);
  with_type(dy, [&]<class T>(T* slope) {
    const dim3 grid(tiles_of(shape.in.channels) * taps, tiles_of(shape.out.channels),
                    static_cast<unsigned>(shape.layout.experts));
    launch("experts' weight gradients", backward_weights_kernel<T>, grid, threads, tile_bytes,
           stream, shape, static_cast<const T*>(x.data), slope, gradients);
  });
}

void expert_bias_gradient(const ExpertShape& shape, Activations dy,
                          const ExpertPointers<float>& gradients, Stream stream) {
  with_type(dy, [&]<class T>(T* slope) {
    const dim3 grid(static_cast<unsigned>(divide_up(shape.out.channels, threads)),
                    static_cast<unsigned>(shape.layout.experts));
    launch("experts' bias gradients", bias_gradient_kernel<T>, grid, threads, 0, stream, shape,
           slope, gradients);
  });
}

}  // namespace hardmoe::cuda
