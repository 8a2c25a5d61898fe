#include "engine/ops/layer_norm.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"
#include "engine/cuda/norm_sums.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int group = 32;                        // threads that share a position
constexpr int positions = tile_threads / group;  // of a block
constexpr int width = element_width;             // channels are held in multiples of it

struct LayerNormArgs {
  int64_t positions;
  int64_t channels, held;  ///< normalised; in memory
  float epsilon;
  const float* gamma;
  const float* beta;
  float2* moments;  ///< of each position: mean, inverse deviation; may be null
};

/// The sum over the threads of a position's group. Every thread of the block calls it.
__device__ __forceinline__ float group_sum(float value) {
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = value;
  __syncthreads();
  for (int half = group / 2; half > 0; half /= 2) {
    if (thread % group < half) shared[thread] += shared[thread + half];
    __syncthreads();
  }
  const float sum = shared[thread - thread % group];
  __syncthreads();
  return sum;
}

/// Calls body(first channel, how many of the access are channels) for the thread's share.
template <class Body>
__device__ __forceinline__ void for_channels(const LayerNormArgs& args, const Body& body) {
  for (int64_t c = int64_t{threadIdx.x % group} * width; c < args.held; c += group * width) {
    const int64_t left = args.channels - c;
    body(c, left < width ? static_cast<int>(left) : width);
  }
}

template <class T>
__global__ void __launch_bounds__(tile_threads)
    normalize_kernel(LayerNormArgs args, const T* x, T* y) {
  const int64_t step = int64_t{gridDim.x} * positions;
  for (int64_t first = int64_t{blockIdx.x} * positions; first < args.positions; first += step) {
    const int64_t position = first + threadIdx.x / group;
    const bool inside = position < args.positions;
    const T* in = x + position * args.held;
    float sum = 0;
    if (inside) {
      for_channels(args, [&](int64_t c, int count) {
        float v[width];
        load(in + c, v);
        for (int i = 0; i < count; ++i) sum += v[i];
      });
    }
    const float mean = group_sum(sum) / static_cast<float>(args.channels);
    float squares = 0;
    if (inside) {
      for_channels(args, [&](int64_t c, int count) {
        float v[width];
        load(in + c, v);
        for (int i = 0; i < count; ++i) squares += (v[i] - mean) * (v[i] - mean);
      });
    }
    const float variance = group_sum(squares) / static_cast<float>(args.channels);
    const float inverse = 1 / sqrtf(variance + args.epsilon);
    if (!inside) continue;
    if (args.moments != nullptr && threadIdx.x % group == 0) {
      args.moments[position] = make_float2(mean, inverse);
    }
    for_channels(args, [&](int64_t c, int count) {
      float v[width], gamma[width], beta[width];
      load(in + c, v);
      load(args.gamma + c, gamma);
      load(args.beta + c, beta);
      for (int i = 0; i < width; ++i) {
        v[i] = i < count ? (v[i] - mean) * inverse * gamma[i] + beta[i] : 0.0F;
      }
      store(y + position * args.held + c, v);
    });
  }
}

/// Leaves each part's Σ g and Σ g·x̂ of every channel.
template <class X, class G>
__global__ void __launch_bounds__(tile_threads)
    sums_kernel(LayerNormArgs args, const X* __restrict__ x, const G* __restrict__ dy, Tiles tiles,
                float* __restrict__ partials) {
  const Place place = place_in(tiles, width, args.held);
  float sums[2 * width] = {};
  if (place.inside) {
    for (int64_t row = place.row; row < args.positions; row += place.step) {
      const float2 moments = args.moments[row];
      float v[width], g[width];
      load(x + row * args.held + place.channel, v);
      load(dy + row * args.held + place.channel, g);
#pragma unroll
      for (int i = 0; i < width; ++i) {
        sums[i] += g[i];
        sums[width + i] += g[i] * (v[i] - moments.x) * moments.y;
      }
    }
  }
  sum_over_lanes(tiles, place.lane, sums);
  if (place.inside && place.lane == 0) {
    leave_sums<width>(sums, place.channel, args.held, partials);
  }
}

__global__ void __launch_bounds__(tile_threads)
    sums_finish_kernel(const float* __restrict__ partials, int parts, int64_t channels,
                       int64_t held, float* __restrict__ d_gamma, float* __restrict__ d_beta) {
  const ChannelSums sums = channel_sums(partials, parts, held);
  if (!sums.complete) return;
  const bool padding = sums.channel >= channels;
  d_beta[sums.channel] = padding ? 0.0F : static_cast<float>(sums.first);
  d_gamma[sums.channel] = padding ? 0.0F : static_cast<float>(sums.second);
}

/// dx = (g·γ − mean(g·γ) − x̂·mean(g·γ·x̂))/σ. dx may be dy.
template <class X, class G>
__global__ void __launch_bounds__(tile_threads)
    differentiate_kernel(LayerNormArgs args, const X* x, const G* dy, G* dx) {
  const int64_t step = int64_t{gridDim.x} * positions;
  for (int64_t first = int64_t{blockIdx.x} * positions; first < args.positions; first += step) {
    const int64_t position = first + threadIdx.x / group;
    const bool inside = position < args.positions;
    const int64_t at = position * args.held;
    float2 moments = make_float2(0, 0);
    if (inside) moments = args.moments[position];
    const auto visit = [&](const auto& body) {
      for_channels(args, [&](int64_t c, int count) {
        float v[width], g[width], gamma[width];
        load(x + at + c, v);
        load(dy + at + c, g);
        load(args.gamma + c, gamma);
        for (int i = 0; i < width; ++i) {
          v[i] = i < count ? (v[i] - moments.x) * moments.y : 0.0F;
          g[i] = i < count ? g[i] * gamma[i] : 0.0F;
        }
        body(c, v, g, count);
      });
    };
    float sums[2] = {};
    if (inside) {
      visit([&](int64_t, const float(&normal)[width], const float(&g)[width], int) {
        for (int i = 0; i < width; ++i) {
          sums[0] += g[i];
          sums[1] += g[i] * normal[i];
        }
      });
    }
    const float mean = group_sum(sums[0]) / static_cast<float>(args.channels);
    const float along = group_sum(sums[1]) / static_cast<float>(args.channels);
    if (!inside) continue;
    visit([&](int64_t c, const float(&normal)[width], const float(&g)[width], int count) {
      float d[width];
      for (int i = 0; i < width; ++i) {
        d[i] = i < count ? (g[i] - mean - normal[i] * along) * moments.y : 0.0F;
      }
      store(dx + at + c, d);
    });
  }
}

Tiles tiles_of(int64_t rows, int64_t held) {
  return reduction_tiles(rows, held / width, backward_blocks);
}

class LayerNormLayer final : public Layer {
 public:
  LayerNormLayer(const LayerNorm& op, LayerBuilder& builder)
      : weight_(builder.parameter(".weight", builder.held(builder.output_value()))),
        bias_(builder.parameter(".bias", builder.held(builder.output_value()))) {
    args_.positions = builder.rows() * builder.output().extent.positions();
    args_.channels = builder.output().extent.channels;
    args_.held = builder.held(builder.output_value());
    args_.epsilon = op.epsilon;
    if (builder.training()) {
      const Tiles tiles = tiles_of(args_.positions, args_.held);
      builder.need_workspace(4 * 2 * int64_t{tiles.parts} * args_.held);
    }
  }

  int64_t saved_bytes() const override { return args_.positions * int64_t{sizeof(float2)}; }

  Work work(const Step& step, const Arrays& arrays, int) override {
    LayerNormArgs args = args_;
    args.gamma = arrays.weights(weight_);
    args.beta = arrays.weights(bias_);
    args.moments = step.saved < 0 ? nullptr : static_cast<float2*>(arrays.at(step.saved));
    const Activations x = arrays.activations(step.x[0]);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, y = arrays.activations(step.y)] { normalize(args, x, y, stream); };
    }
    return
        [=, this, dy = arrays.activations(step.dy),
         dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]), workspace = arrays.workspace(),
         d_gamma = arrays.gradient(weight_), d_beta = arrays.gradient(bias_)] {
          sum_up(args, x, dy, workspace, d_gamma, d_beta, stream);
          if (dx) differentiate(args, x, dy, dx, stream);
        };
  }

 private:
  static dim3 grid(const LayerNormArgs& args) {
    return striding_grid(divide_up(args.positions, positions));
  }
  static constexpr size_t group_bytes = tile_threads * sizeof(float);

  static void normalize(const LayerNormArgs& args, Activations x, Activations y, Stream stream) {
    with_type(x, [&]<class T>(T* in) {
      launch("layer norm", normalize_kernel<T>, grid(args), tile_threads, group_bytes, stream, args,
             in, static_cast<T*>(y.data));
    });
  }

  static void sum_up(const LayerNormArgs& args, Activations x, Activations dy, float* workspace,
                     float* d_gamma, float* d_beta, Stream stream) {
    const Tiles tiles = tiles_of(args.positions, args.held);
    with_type(x, [&]<class X>(X* in) {
      with_type(dy, [&]<class G>(G* slope) {
        launch("layer norm sums", sums_kernel<X, G>, tiles.grid(), tile_threads,
               lane_sum_bytes(2 * width), stream, args, in, slope, tiles, workspace);
      });
    });
    launch("layer norm sums", sums_finish_kernel, channel_sum_grid(args.held), tile_threads,
           channel_sum_bytes, stream, workspace, tiles.parts, args.channels, args.held, d_gamma,
           d_beta);
  }

  static void differentiate(const LayerNormArgs& args, Activations x, Activations dy,
                            Activations dx, Stream stream) {
    with_type(x, [&]<class X>(X* in) {
      with_type(dy, [&]<class G>(G* slope) {
        launch("layer norm backward", differentiate_kernel<X, G>, grid(args), tile_threads,
               group_bytes, stream, args, in, slope, static_cast<G*>(dx.data));
      });
    });
  }

  int weight_, bias_;
  LayerNormArgs args_ = {};
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerNorm& op, LayerBuilder& builder) {
  return std::make_unique<LayerNormLayer>(op, builder);
}

}  // namespace hardmoe::cuda
