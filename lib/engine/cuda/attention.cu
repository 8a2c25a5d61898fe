// Attention in tiles of `tile` queries by `tile` keys of one image and head, so that the T×T weights
// never lie in device memory (Dao et al. 2022, FlashAttention): the forward pass keeps each query's
// logarithm of the sum of exponentials, from which the backward pass finds the weights again. Sums
// are float32, in a fixed order.
#include "engine/ops/attention.h"

#include <type_traits>

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

constexpr int threads = 256;
constexpr int columns = 32;               // channels side by side that a warp works on
constexpr int lines = threads / columns;  // rows below one another that a block works on at once
constexpr size_t most_shared = 48 << 10;

struct AttentionArgs {
  int64_t images, heads, tokens;
  int64_t channels;           ///< D: of an output row
  int64_t held_in, held_out;  ///< channels of a row of queries, keys and values, of an output row
  int width;                  ///< channels of a head
  float scale;                ///< 1/√width
  float* logs;                ///< images×heads×tokens; null in inference
};

/// Which rows a block works on: one tile of one image and head.
struct Block {
  int64_t item;  ///< image · heads + head
  int64_t image, head;
  int64_t first;  ///< token of its tile's first row
};
__device__ __forceinline__ Block block_of(const AttentionArgs& args, int tile) {
  const int64_t tiles = (args.tokens + tile - 1) / tile;
  const int64_t item = blockIdx.x / tiles;
  return {item, item / args.heads, item % args.heads, blockIdx.x % tiles * tile};
}

/// The first channel of the head's queries (part 0), keys (1) or values (2) in the image's first row.
__device__ __forceinline__ int64_t part_at(const AttentionArgs& args, const Block& block,
                                           int part) {
  return block.image * args.tokens * args.held_in + part * args.channels + block.head * args.width;
}
__device__ __forceinline__ int64_t output_at(const AttentionArgs& args, const Block& block) {
  return block.image * args.tokens * args.held_out + block.head * args.width;
}

/// Shared memory for rows of a head lies width + 1 values apart: neighbours in other banks.
template <int tile>
__device__ __forceinline__ void clear(const AttentionArgs& args, float* rows) {
  for (int i = static_cast<int>(threadIdx.x); i < tile * (args.width + 1); i += threads)
    rows[i] = 0;
}

/// Reads rows of a tile that begins with token `first`; rows behind the last token become 0.
template <int tile, class T>
__device__ __forceinline__ void read(const AttentionArgs& args, const T* from, int64_t pitch,
                                     int64_t first, float* rows) {
  for (int row = static_cast<int>(threadIdx.x) / columns; row < tile; row += lines) {
    for (int c = static_cast<int>(threadIdx.x) % columns; c < args.width; c += columns) {
      float v[1] = {};
      if (first + row < args.tokens) load(from + (first + row) * pitch + c, v);
      rows[row * (args.width + 1) + c] = v[0];
    }
  }
}

template <int tile, class T>
__device__ __forceinline__ void write(const AttentionArgs& args, const float* rows, int64_t first,
                                      int64_t pitch, T* to) {
  for (int row = static_cast<int>(threadIdx.x) / columns; row < tile; row += lines) {
    if (first + row >= args.tokens) return;
    for (int c = static_cast<int>(threadIdx.x) % columns; c < args.width; c += columns) {
      const float v[1] = {rows[row * (args.width + 1) + c]};
      store(to + (first + row) * pitch + c, v);
    }
  }
}

/// The thread's elements of a tile×tile product: one column, some rows.
template <int tile>
struct Elements {
  static constexpr int count = tile * tile / threads;
  __device__ __forceinline__ static int column() { return static_cast<int>(threadIdx.x) % tile; }
  __device__ __forceinline__ static int row(int i) {
    return static_cast<int>(threadIdx.x) / tile + i * (threads / tile);
  }
};

/// product[i] = the thread's i-th element of a·bᵀ, rows of both in shared memory.
template <int tile>
__device__ __forceinline__ void multiply(const AttentionArgs& args, const float* a, const float* b,
                                         float (&product)[Elements<tile>::count]) {
  const int pitch = args.width + 1;
  const float* other = b + Elements<tile>::column() * pitch;
#pragma unroll
  for (float& value : product) value = 0;
  for (int c = 0; c < args.width; ++c) {
#pragma unroll
    for (int i = 0; i < Elements<tile>::count; ++i) {
      product[i] += a[Elements<tile>::row(i) * pitch + c] * other[c];
    }
  }
}

/// into = factor·into + w·rows; w is tile×tile, its rows tile + 1 apart. factors: one a row; null: 1.
template <int tile>
__device__ __forceinline__ void accumulate(const AttentionArgs& args, const float* w,
                                           const float* rows, const float* factors, float* into) {
  constexpr int count = tile / lines;
  const int pitch = args.width + 1, line = static_cast<int>(threadIdx.x) / columns;
  for (int c = static_cast<int>(threadIdx.x) % columns; c < args.width; c += columns) {
    float sums[count];
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = line + i * lines;
      sums[i] = into[row * pitch + c] * (factors == nullptr ? 1.0F : factors[row]);
    }
    for (int k = 0; k < tile; ++k) {
      const float value = rows[k * pitch + c];
#pragma unroll
      for (int i = 0; i < count; ++i) sums[i] += w[(line + i * lines) * (tile + 1) + k] * value;
    }
#pragma unroll
    for (int i = 0; i < count; ++i) into[(line + i * lines) * pitch + c] = sums[i];
  }
}

/// Hands out shared memory.
struct Shared {
  float* next = reinterpret_cast<float*>(dynamic_shared);
  __device__ __forceinline__ float* take(int floats) {
    float* piece = next;
    next += floats;
    return piece;
  }
};

/// Bytes for so many tiles of a head's rows, one of weights, and three values a row.
size_t shared_bytes(int tile, int tiles, int width) {
  return sizeof(float) * static_cast<size_t>(tile * (tiles * (width + 1) + tile + 1 + 3));
}

constexpr int forward_tiles = 3, query_tiles = 4, key_tiles = 5;

template <int tile, class T>
__global__ void __launch_bounds__(threads)
    forward_kernel(AttentionArgs args, const T* __restrict__ qkv, T* __restrict__ y) {
  Shared shared;
  const int rows = tile * (args.width + 1);
  float *queries = shared.take(rows), *others = shared.take(rows), *sums = shared.take(rows);
  float* weights = shared.take(tile * (tile + 1));
  float *tops = shared.take(tile), *totals = shared.take(tile), *factors = shared.take(tile);
  const Block block = block_of(args, tile);
  const int thread = static_cast<int>(threadIdx.x);
  read<tile>(args, qkv + part_at(args, block, 0), args.held_in, block.first, queries);
  clear<tile>(args, sums);
  if (thread < tile) tops[thread] = -INFINITY, totals[thread] = 0;
  for (int64_t first = 0; first < args.tokens; first += tile) {
    __syncthreads();
    read<tile>(args, qkv + part_at(args, block, 1), args.held_in, first, others);
    __syncthreads();
    float scores[Elements<tile>::count];
    multiply<tile>(args, queries, others, scores);
    const int column = Elements<tile>::column();
#pragma unroll
    for (int i = 0; i < Elements<tile>::count; ++i) {
      weights[Elements<tile>::row(i) * (tile + 1) + column] =
          first + column < args.tokens ? scores[i] * args.scale : -INFINITY;
    }
    __syncthreads();
    read<tile>(args, qkv + part_at(args, block, 2), args.held_in, first, others);
    if (thread < tile) {  // a row: what was summed shrinks by the rise of the largest score
      float* row = weights + thread * (tile + 1);
      float top = tops[thread];
      for (int k = 0; k < tile; ++k) top = fmaxf(top, row[k]);
      float total = 0;
      for (int k = 0; k < tile; ++k) {
        row[k] = expf(row[k] - top);
        total += row[k];
      }
      factors[thread] = expf(tops[thread] - top);
      totals[thread] = totals[thread] * factors[thread] + total;
      tops[thread] = top;
    }
    __syncthreads();
    accumulate<tile>(args, weights, others, factors, sums);
  }
  __syncthreads();
  if (thread < tile) {
    factors[thread] = 1 / totals[thread];
    const int64_t token = block.first + thread;
    if (args.logs != nullptr && token < args.tokens) {
      args.logs[block.item * args.tokens + token] = tops[thread] + logf(totals[thread]);
    }
  }
  __syncthreads();
  for (int i = thread; i < rows; i += threads) sums[i] *= factors[i / (args.width + 1)];
  __syncthreads();
  write<tile>(args, sums, block.first, args.held_out, y + output_at(args, block));
}

/// The gradient of a tile's queries; leaves Σ dy·y of each for the keys' turn.
template <int tile, class T>
__global__ void __launch_bounds__(threads)
    query_kernel(AttentionArgs args, const T* __restrict__ qkv, const T* __restrict__ y,
                 const T* __restrict__ dy, float* __restrict__ means, T* __restrict__ dx) {
  Shared shared;
  const int rows = tile * (args.width + 1);
  float *queries = shared.take(rows), *slopes = shared.take(rows), *others = shared.take(rows);
  float* sums = shared.take(rows);
  float* weights = shared.take(tile * (tile + 1));
  float *logs = shared.take(tile), *own_means = shared.take(tile);
  const Block block = block_of(args, tile);
  const int thread = static_cast<int>(threadIdx.x), column = Elements<tile>::column();
  read<tile>(args, qkv + part_at(args, block, 0), args.held_in, block.first, queries);
  read<tile>(args, dy + output_at(args, block), args.held_out, block.first, slopes);
  read<tile>(args, y + output_at(args, block), args.held_out, block.first, others);
  clear<tile>(args, sums);
  __syncthreads();
  if (thread < tile) {
    const bool inside = block.first + thread < args.tokens;
    const int64_t at = block.item * args.tokens + block.first + thread;
    float mean = 0;
    for (int c = 0; c < args.width; ++c) {
      mean += slopes[thread * (args.width + 1) + c] * others[thread * (args.width + 1) + c];
    }
    logs[thread] = inside ? args.logs[at] : 0.0F;
    own_means[thread] = mean;
    if (inside) means[at] = mean;
  }
  for (int64_t first = 0; first < args.tokens; first += tile) {
    __syncthreads();
    read<tile>(args, qkv + part_at(args, block, 2), args.held_in, first, others);
    __syncthreads();
    float scores[Elements<tile>::count], along[Elements<tile>::count];
    multiply<tile>(args, slopes, others, along);
    __syncthreads();
    read<tile>(args, qkv + part_at(args, block, 1), args.held_in, first, others);
    __syncthreads();
    multiply<tile>(args, queries, others, scores);
#pragma unroll
    for (int i = 0; i < Elements<tile>::count; ++i) {
      const int row = Elements<tile>::row(i);
      const float p =
          first + column < args.tokens ? expf(scores[i] * args.scale - logs[row]) : 0.0F;
      weights[row * (tile + 1) + column] = p * (along[i] - own_means[row]) * args.scale;
    }
    __syncthreads();
    accumulate<tile>(args, weights, others, nullptr, sums);
  }
  __syncthreads();
  write<tile>(args, sums, block.first, args.held_in, dx + part_at(args, block, 0));
}

/// The gradients of a tile's keys and values. A key is a row of the weights here, a query a column.
template <int tile, class T>
__global__ void __launch_bounds__(threads)
    key_kernel(AttentionArgs args, const T* __restrict__ qkv, const T* __restrict__ dy,
               const float* __restrict__ means, T* __restrict__ dx) {
  Shared shared;
  const int rows = tile * (args.width + 1);
  float *keys = shared.take(rows), *values = shared.take(rows), *others = shared.take(rows);
  float *key_sums = shared.take(rows), *value_sums = shared.take(rows);
  float* weights = shared.take(tile * (tile + 1));
  const Block block = block_of(args, tile);
  const int column = Elements<tile>::column();
  read<tile>(args, qkv + part_at(args, block, 1), args.held_in, block.first, keys);
  read<tile>(args, qkv + part_at(args, block, 2), args.held_in, block.first, values);
  clear<tile>(args, key_sums);
  clear<tile>(args, value_sums);
  for (int64_t first = 0; first < args.tokens; first += tile) {
    const bool inside = first + column < args.tokens;
    const int64_t at = block.item * args.tokens + first + column;
    const float log = inside ? args.logs[at] : 0.0F, mean = inside ? means[at] : 0.0F;
    float scores[Elements<tile>::count], along[Elements<tile>::count];
    __syncthreads();
    read<tile>(args, qkv + part_at(args, block, 0), args.held_in, first, others);
    __syncthreads();
    multiply<tile>(args, keys, others, scores);
#pragma unroll
    for (int i = 0; i < Elements<tile>::count; ++i) {
      scores[i] = inside ? expf(scores[i] * args.scale - log) : 0.0F;
      weights[Elements<tile>::row(i) * (tile + 1) + column] = scores[i];
    }
    __syncthreads();
    read<tile>(args, dy + output_at(args, block), args.held_out, first, others);
    __syncthreads();
    multiply<tile>(args, values, others, along);
    accumulate<tile>(args, weights, others, nullptr, value_sums);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Elements<tile>::count; ++i) {
      weights[Elements<tile>::row(i) * (tile + 1) + column] =
          scores[i] * (along[i] - mean) * args.scale;
    }
    read<tile>(args, qkv + part_at(args, block, 0), args.held_in, first, others);
    __syncthreads();
    accumulate<tile>(args, weights, others, nullptr, key_sums);
  }
  __syncthreads();
  write<tile>(args, key_sums, block.first, args.held_in, dx + part_at(args, block, 1));
  write<tile>(args, value_sums, block.first, args.held_in, dx + part_at(args, block, 2));
}

/// Zeros behind the first `channels` of each row.
template <class T>
__global__ void __launch_bounds__(element_threads)
    padding_kernel(int64_t rows, int64_t channels, int64_t held, T* y) {
  const int64_t padding = held - channels, step = int64_t{gridDim.x} * element_threads;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x; i < rows * padding;
       i += step) {
    const float zero[1] = {};
    store(y + i / padding * held + channels + i % padding, zero);
  }
}

template <class T>
void clear_padding(int64_t rows, int64_t channels, int64_t held, T* y, Stream stream) {
  if (held == channels) return;
  launch("attention", padding_kernel<T>, element_grid(rows * (held - channels)), element_threads, 0,
         stream, rows, channels, held, y);
}

/// Calls body with the largest tile of which so many fit into shared memory, as a constant.
template <class Body>
void with_tile(int tiles, int width, const Body& body) {
  if (shared_bytes(32, tiles, width) <= most_shared) {
    body(std::integral_constant<int, 32>{});
  } else {
    body(std::integral_constant<int, 16>{});
  }
}

class AttentionLayer final : public Layer {
 public:
  AttentionLayer(const Attention& op, LayerBuilder& builder) {
    args_.images = builder.options().batch;
    args_.heads = op.heads;
    args_.tokens = builder.input().planned_rows(1);
    args_.channels = builder.output().extent.channels;
    args_.held_in = builder.held(builder.input_value());
    args_.held_out = builder.held(builder.output_value());
    args_.width = static_cast<int>(args_.channels / op.heads);
    args_.scale = 1 / sqrtf(static_cast<float>(args_.width));
    if (builder.training()) builder.need_workspace(saved_bytes());
  }

  int64_t saved_bytes() const override {
    return args_.images * args_.heads * args_.tokens * int64_t{sizeof(float)};
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    AttentionArgs args = args_;
    args.logs = step.saved < 0 ? nullptr : arrays.floats(step.saved);
    const Activations qkv = arrays.activations(step.x[0]), y = arrays.activations(step.y);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=] { with_type(qkv, [&]<class T>(T* in) { forward(args, in, y, stream); }); };
    }
    return [=, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0]),
            means = arrays.workspace()] {
      with_type(qkv, [&]<class T>(T* in) { backward(args, in, y, dy, means, dx, stream); });
    };
  }

 private:
  static int64_t blocks(const AttentionArgs& args, int tile) {
    return args.images * args.heads * divide_up(args.tokens, tile);
  }

  template <class T>
  static void forward(const AttentionArgs& args, const T* qkv, Activations y, Stream stream) {
    T* to = static_cast<T*>(y.data);
    with_tile(forward_tiles, args.width, [&]<int tile>(std::integral_constant<int, tile>) {
      launch("attention", forward_kernel<tile, T>, blocks(args, tile), threads,
             shared_bytes(tile, forward_tiles, args.width), stream, args, qkv, to);
    });
    clear_padding(args.images * args.tokens, args.channels, args.held_out, to, stream);
  }

  template <class T>
  static void backward(const AttentionArgs& args, const T* qkv, Activations y, Activations dy,
                       float* means, Activations dx, Stream stream) {
    const T* slope = static_cast<const T*>(dy.data);
    T* to = static_cast<T*>(dx.data);
    with_tile(query_tiles, args.width, [&]<int tile>(std::integral_constant<int, tile>) {
      launch("attention queries backward", query_kernel<tile, T>, blocks(args, tile), threads,
             shared_bytes(tile, query_tiles, args.width), stream, args, qkv,
             static_cast<const T*>(y.data), slope, means, to);
    });
    with_tile(key_tiles, args.width, [&]<int tile>(std::integral_constant<int, tile>) {
      launch("attention keys backward", key_kernel<tile, T>, blocks(args, tile), threads,
             shared_bytes(tile, key_tiles, args.width), stream, args, qkv, slope, means, to);
    });
    clear_padding(args.images * args.tokens, 3 * args.channels, args.held_in, to, stream);
  }

  AttentionArgs args_ = {};
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Attention& op, LayerBuilder& builder) {
  return std::make_unique<AttentionLayer>(op, builder);
}

}  // namespace hardmoe::cuda
