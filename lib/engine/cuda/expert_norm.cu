#include "engine/ops/expert_norm.h"

#include <vector>

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/expert_products.h"
#include "engine/cuda/layer.h"
#include "engine/cuda/routing.cuh"
#include "engine/cuda/tiles.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int width = element_width;
constexpr int state_arrays = 7;  // of each expert; NormArgs::state says which

struct NormArgs {
  Routing routing;
  int64_t positions, channels;
  ExpertPointers<const float> gamma, beta;
  ExpertPointers<float> running_mean, running_var;
  /// Of each expert C floats each: mean, inverse deviation, scale, shift; then for its backward pass
  /// dx = a·g + b·x + c: a, b, c.
  float* state;
  bool batch_statistics, relu;

  __device__ __forceinline__ float* state_of(int64_t expert, int array) const {
    return state + (expert * state_arrays + array) * channels;
  }
};

/// A block's rows are all of an expert's, blockIdx.y; its channels those of place_in().
struct Share {
  int64_t expert;
  int64_t first, rows;  ///< positions
};
__device__ __forceinline__ Share share_of(const NormArgs& args) {
  const int64_t expert = blockIdx.y;
  return {expert, args.routing.first(expert) * args.positions,
          args.routing.rows(expert) * args.positions};
}

/// Calls take(element, channels' places in the arrays) for the thread's rows.
template <class Take>
__device__ __forceinline__ void for_rows(const NormArgs& args, const Share& share,
                                         const Tiles& tiles, const Place& place, const Take& take) {
  if (!place.inside) return;
  for (int64_t row = place.lane; row < share.rows; row += tiles.lanes) {
    take((share.first + row) * args.channels + place.channel);
  }
}

/// scale and shift of the expert's channels, by the thread of lane 0, from what moments there are.
__device__ __forceinline__ void put_coefficients(const NormArgs& args, int64_t expert, int64_t c,
                                                 float mean, float variance) {
  const float inverse = 1 / sqrtf(variance + batch_norm_epsilon);
  const float scale = args.gamma.of[expert][c] * inverse;
  args.state_of(expert, 0)[c] = mean;
  args.state_of(expert, 1)[c] = inverse;
  args.state_of(expert, 2)[c] = scale;
  args.state_of(expert, 3)[c] = args.beta.of[expert][c] - mean * scale;
}

/// Statistics of the expert's rows, its running ones, and y = [relu](x·scale + shift [+ residual]).
/// y may be x or the residual.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    forward_kernel(NormArgs args, Tiles tiles, const T* x, const T* residual, T* y) {
  const Share share = share_of(args);
  if (share.rows == 0) return;
  const Place place = place_in(tiles, width, args.channels);
  if (args.batch_statistics) {
    float origin[width] = {}, sums[2 * width] = {};
    if (place.inside) load(x + share.first * args.channels + place.channel, origin);
    for_rows(args, share, tiles, place, [&](int64_t at) {
      float v[width];
      load(x + at, v);
#pragma unroll
      for (int i = 0; i < width; ++i) {
        const float d = v[i] - origin[i];
        sums[i] += d;
        sums[width + i] = fmaf(d, d, sums[width + i]);
      }
    });
    sum_over_lanes(tiles, place.lane, sums);
    if (place.inside && place.lane == 0) {
      const double count = static_cast<double>(share.rows);
      const double unbias = count / (count - 1);
      for (int i = 0; i < width; ++i) {
        const int64_t c = place.channel + i;
        const double shifted = static_cast<double>(sums[i]) / count;
        const double square = static_cast<double>(sums[width + i]) / count - shifted * shifted;
        const float mean = static_cast<float>(static_cast<double>(origin[i]) + shifted);
        const double variance = square > 0 ? square : 0.0;
        float* running_mean = args.running_mean.of[share.expert] + c;
        float* running_var = args.running_var.of[share.expert] + c;
        *running_mean += batch_norm_momentum * (mean - *running_mean);
        if (share.rows > 1) {
          *running_var +=
              batch_norm_momentum * (static_cast<float>(variance * unbias) - *running_var);
        }
        put_coefficients(args, share.expert, c, mean, static_cast<float>(variance));
      }
    }
  } else if (place.inside && place.lane == 0) {
    for (int64_t c = place.channel; c < place.channel + width; ++c) {
      put_coefficients(args, share.expert, c, args.running_mean.of[share.expert][c],
                       args.running_var.of[share.expert][c]);
    }
  }
  __syncthreads();
  float scale[width] = {}, shift[width] = {};
  if (place.inside) {
    load(args.state_of(share.expert, 2) + place.channel, scale);
    load(args.state_of(share.expert, 3) + place.channel, shift);
  }
  for_rows(args, share, tiles, place, [&](int64_t at) {
    float v[width], term[width] = {};
    load(x + at, v);
    if (residual != nullptr) load(residual + at, term);
#pragma unroll
    for (int i = 0; i < width; ++i) {
      float value = fmaf(v[i], scale[i], shift[i]) + term[i];
      if (args.relu && value < 0) value = 0;  // a NaN stays one
      v[i] = value;
    }
    store(y + at, v);
  });
}

template <class T>
struct BackwardArgs {
  const T* x;    ///< null: without statistics
  const T* y;    ///< null: the ReLU's mask is found from x
  T* dy;         ///< holds g afterwards if keep_g
  const T* dy2;  ///< null: none
  T* dx;         ///< null: not wanted; may be dy
  ExpertPointers<float> d_gamma, d_beta;
  bool keep_g;
};

/// g = mask·(dy + dy2) at an element.
template <class T>
__device__ __forceinline__ void load_gradient(const NormArgs& args, const BackwardArgs<T>& pass,
                                              int64_t at, const float (&x)[width],
                                              const float (&scale)[width],
                                              const float (&shift)[width], float (&g)[width]) {
  load(pass.dy + at, g);
  float more[width] = {}, y[width] = {};
  if (pass.dy2 != nullptr) load(pass.dy2 + at, more);
  if (pass.y != nullptr) load(pass.y + at, y);
#pragma unroll
  for (int i = 0; i < width; ++i) {
    g[i] += more[i];
    const float made = pass.y != nullptr ? y[i] : fmaf(x[i], scale[i], shift[i]);
    if (args.relu && !(made > 0)) g[i] = 0;
  }
}

/// The two sums over an expert's rows, then dx, as BatchNorm's in norm_backward.cu. An expert without
/// rows has gradients of zero.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    backward_kernel(NormArgs args, Tiles tiles, BackwardArgs<T> pass) {
  const Share share = share_of(args);
  const Place place = place_in(tiles, width, args.channels);
  float mean[width] = {}, scale[width] = {}, shift[width] = {};
  if (place.inside) {
    load(args.state_of(share.expert, 0) + place.channel, mean);
    load(args.state_of(share.expert, 2) + place.channel, scale);
    load(args.state_of(share.expert, 3) + place.channel, shift);
  }
  float sums[2 * width] = {};
  for_rows(args, share, tiles, place, [&](int64_t at) {
    float v[width], g[width];
    load(pass.x + at, v);
    load_gradient(args, pass, at, v, scale, shift, g);
    if (pass.keep_g) store(pass.dy + at, g);
#pragma unroll
    for (int i = 0; i < width; ++i) {
      sums[i] += g[i];
      sums[width + i] = fmaf(g[i], v[i] - mean[i], sums[width + i]);
    }
  });
  sum_over_lanes(tiles, place.lane, sums);
  if (place.inside && place.lane == 0) {
    const double count = static_cast<double>(share.rows > 0 ? share.rows : 1);
    for (int i = 0; i < width; ++i) {
      const int64_t c = place.channel + i;
      const double inverse = static_cast<double>(args.state_of(share.expert, 1)[c]);
      const double on_gamma = static_cast<double>(sums[width + i]) * inverse;
      const double slope = static_cast<double>(args.gamma.of[share.expert][c]) * inverse;
      const double on_x = -slope * inverse * on_gamma / count;
      pass.d_beta.of[share.expert][c] = sums[i];
      pass.d_gamma.of[share.expert][c] = static_cast<float>(on_gamma);
      args.state_of(share.expert, 4)[c] = static_cast<float>(slope);
      args.state_of(share.expert, 5)[c] = static_cast<float>(on_x);
      args.state_of(share.expert, 6)[c] = static_cast<float>(
          -slope * static_cast<double>(sums[i]) / count - on_x * static_cast<double>(mean[i]));
    }
  }
  __syncthreads();
  float a[width] = {}, b[width] = {}, c[width] = {};
  if (place.inside) {
    load(args.state_of(share.expert, 4) + place.channel, a);
    load(args.state_of(share.expert, 5) + place.channel, b);
    load(args.state_of(share.expert, 6) + place.channel, c);
  }
  for_rows(args, share, tiles, place, [&](int64_t at) {
    float v[width], g[width];
    load(pass.x + at, v);
    if (pass.keep_g) {
      load(pass.dy + at, g);
    } else {
      load_gradient(args, pass, at, v, scale, shift, g);
    }
#pragma unroll
    for (int i = 0; i < width; ++i) g[i] = fmaf(a[i], g[i], fmaf(b[i], v[i], c[i]));
    store(pass.dx + at, g);
  });
}

/// Without statistics: dx = scale·g, and g where it is kept.
template <class T>
__global__ void __launch_bounds__(tile_threads)
    frozen_kernel(NormArgs args, Tiles tiles, BackwardArgs<T> pass) {
  const Share share = share_of(args);
  const Place place = place_in(tiles, width, args.channels);
  float scale[width] = {}, shift[width] = {};
  if (place.inside) load(args.state_of(share.expert, 2) + place.channel, scale);
  for_rows(args, share, tiles, place, [&](int64_t at) {
    const float x[width] = {};
    float g[width];
    load_gradient(args, pass, at, x, scale, shift, g);
    if (pass.keep_g) store(pass.dy + at, g);
    if (pass.dx == nullptr) return;
#pragma unroll
    for (int i = 0; i < width; ++i) g[i] *= scale[i];
    store(pass.dx + at, g);
  });
}

class ExpertNormLayer final : public Layer {
 public:
  ExpertNormLayer(const ExpertNorm& op, LayerBuilder& builder)
      : layout_{builder.input(1).planned_rows(builder.options().batch), op.experts,
                chosen_of(builder.input(1), op.experts)},
        positions_(builder.output().extent.positions()),
        channels_(builder.held(builder.output_value())),
        batch_statistics_(builder.trains()),
        relu_(op.relu),
        tiles_(make_tiles(1, channels_ / width, 1, 1)),
        state_(builder.add_state(op.experts * state_arrays * channels_)) {
    for (int64_t e = 0; e < op.experts; ++e) {
      const auto parameter = [&](const char* suffix) {
        return builder.parameter((expert_name("", e) + suffix).c_str(), channels_);
      };
      weights_.push_back(parameter(".weight"));
      biases_.push_back(parameter(".bias"));
      running_means_.push_back(parameter(".running_mean"));
      running_vars_.push_back(parameter(".running_var"));
    }
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    return step.pass == Pass::forward ? forward(step, arrays) : backward(step, arrays);
  }

 private:
  dim3 grid() const {
    return dim3(static_cast<unsigned>(tiles_.chunks), static_cast<unsigned>(layout_.experts));
  }
  static constexpr size_t shared_bytes = tile_threads * sizeof(float) * 2 * width;

  NormArgs args(BufferId routing, const Arrays& arrays) const {
    const auto weights = [&](int number) { return arrays.weights(number); };
    NormArgs args = {};
    args.routing = {static_cast<const int32_t*>(arrays.at(routing)), layout_};
    args.positions = positions_;
    args.channels = channels_;
    args.gamma = expert_pointers<const float>(weights_, weights);
    args.beta = expert_pointers<const float>(biases_, weights);
    args.running_mean = expert_pointers<float>(running_means_, weights);
    args.running_var = expert_pointers<float>(running_vars_, weights);
    args.state = arrays.state(state_);
    args.batch_statistics = batch_statistics_;
    args.relu = relu_;
    return args;
  }

  void clear(const NormArgs& args, Activations array, Stream stream) const {
    clear_unused(args.routing.data, layout_, array, positions_ * channels_, stream);
  }

  Work forward(const Step& step, const Arrays& arrays) const {
    const Activations residual = arrays.activations(step.x.size() > 2 ? step.x[2] : -1);
    return [=, this, args = args(step.x[1], arrays), x = arrays.activations(step.x[0]),
            y = arrays.activations(step.y), stream = arrays.stream()] {
      with_type(x, [&]<class T>(T* in) {
        launch("experts' norm", forward_kernel<T>, grid(), tile_threads, shared_bytes, stream, args,
               tiles_, in, static_cast<const T*>(residual.data), static_cast<T*>(y.data));
      });
      clear(args, y, stream);
    };
  }

  Work backward(const Step& step, const Arrays& arrays) const {
    const bool statistics = step.pass == Pass::backward;
    const Activations x = arrays.activations(statistics ? step.x[1] : -1);
    const Activations y = arrays.activations(step.y), dy2 = arrays.activations(step.dy2);
    const Activations dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]);
    const bool keep_g = step.dx.empty() || step.dx[0] != step.dy || step.dy2 >= 0;
    const auto gradient = [&](int number) { return arrays.gradient(number); };
    return [=, this, args = args(step.x[0], arrays), dy = arrays.activations(step.dy),
            d_gamma = expert_pointers<float>(weights_, gradient),
            d_beta = expert_pointers<float>(biases_, gradient), stream = arrays.stream()] {
      with_type(dy, [&]<class T>(T* slope) {
        const BackwardArgs<T> pass = {static_cast<const T*>(x.data),
                                      static_cast<const T*>(y.data),
                                      slope,
                                      static_cast<const T*>(dy2.data),
                                      static_cast<T*>(dx.data),
                                      d_gamma,
                                      d_beta,
                                      keep_g};
        launch("experts' norm backward", statistics ? backward_kernel<T> : frozen_kernel<T>, grid(),
               tile_threads, shared_bytes, stream, args, tiles_, pass);
      });
      if (dx) clear(args, dx, stream);
    };
  }

  RoutingLayout layout_;
  int64_t positions_, channels_;
  bool batch_statistics_, relu_;
  Tiles tiles_;
  int64_t state_;
  std::vector<int> weights_, biases_, running_means_, running_vars_;  ///< by expert
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ExpertNorm& op, LayerBuilder& builder) {
  return std::make_unique<ExpertNormLayer>(op, builder);
}

}  // namespace hardmoe::cuda
