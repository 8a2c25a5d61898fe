#include "engine/ops/combine.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"
#include "engine/cuda/routing.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = element_threads;

struct CombineArgs {
  Routing routing;
  int64_t row;  ///< accesses of element_width elements of a row
  const float* gates;
  int64_t gate_stride;
};

template <class T>
__global__ void __launch_bounds__(threads)
    combine_kernel(CombineArgs args, const T* __restrict__ y, T* __restrict__ out) {
  const int64_t n = args.routing.layout.rows * args.row;
  for (int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * threads) {
    const int64_t row = i / args.row;
    float sum[element_width] = {};
    for (int64_t choice = 0; choice < args.routing.layout.chosen; ++choice) {
      const int64_t slot = args.routing.slot(row, choice);
      if (slot < 0) break;
      const float gate = args.gates[row * args.gate_stride + args.routing.expert_of(slot)];
      float v[element_width];
      load(y + (slot * args.row + i % args.row) * element_width, v);
#pragma unroll
      for (int k = 0; k < element_width; ++k) sum[k] = fmaf(gate, v[k], sum[k]);
    }
    store(out + i * element_width, sum);
  }
}

/// Gradient of the routed rows: each its gate times the gradient of the row it was made from.
template <class T>
__global__ void __launch_bounds__(threads)
    rows_kernel(CombineArgs args, const T* __restrict__ dy, T* __restrict__ d_rows) {
  const int64_t n = args.routing.layout.routed_rows() * args.row;
  const int64_t used = args.routing.used() * args.row;
  for (int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * threads) {
    float v[element_width] = {};
    if (i < used) {
      const int64_t slot = i / args.row, row = args.routing.source(slot);
      const float gate = args.gates[row * args.gate_stride + args.routing.expert_of(slot)];
      load(dy + (row * args.row + i % args.row) * element_width, v);
#pragma unroll
      for (int k = 0; k < element_width; ++k) v[k] *= gate;
    }
    store(d_rows + i * element_width, v);
  }
}

/// Gradient of the gates: a block a row; of each choice the inner product of its routed row and the
/// row's gradient.
template <class Y, class T>
__global__ void __launch_bounds__(threads)
    gates_kernel(CombineArgs args, const Y* __restrict__ y, const T* __restrict__ dy,
                 T* __restrict__ d_gates) {
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < args.routing.layout.rows; row += gridDim.x) {
    T* gradient = d_gates + row * args.gate_stride;
    const float zero[1] = {};
    for (int64_t e = thread; e < args.gate_stride; e += threads) store(gradient + e, zero);
    __syncthreads();
    for (int64_t choice = 0; choice < args.routing.layout.chosen; ++choice) {
      const int64_t slot = args.routing.slot(row, choice);
      if (slot < 0) break;
      float sum = 0;
      for (int64_t i = thread; i < args.row; i += threads) {
        float v[element_width], slope[element_width];
        load(y + (slot * args.row + i) * element_width, v);
        load(dy + (row * args.row + i) * element_width, slope);
#pragma unroll
        for (int k = 0; k < element_width; ++k) sum = fmaf(v[k], slope[k], sum);
      }
      shared[thread] = sum;
      __syncthreads();
      for (int half = threads / 2; half > 0; half /= 2) {
        if (thread < half) shared[thread] += shared[thread + half];
        __syncthreads();
      }
      if (thread == 0) {
        const float total[1] = {shared[0]};
        store(gradient + args.routing.expert_of(slot), total);
      }
      __syncthreads();
    }
  }
}

class CombineLayer final : public Layer {
 public:
  explicit CombineLayer(LayerBuilder& builder)
      : layout_{builder.input(1).planned_rows(builder.options().batch),
                builder.input(1).extent.channels,
                chosen_of(builder.input(2), builder.input(1).extent.channels)},
        row_(builder.output().extent.positions() * builder.held(builder.output_value()) /
             element_width),
        gate_stride_(builder.held(builder.input_value(1))) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const CombineArgs args = {{static_cast<const int32_t*>(arrays.at(step.x[2])), layout_},
                              row_,
                              arrays.floats(step.x[1]),
                              gate_stride_};
    const Activations y = arrays.activations(step.x[0]);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, out = arrays.at(step.y)] {
        with_type(y, [&]<class T>(T* in) {
          launch("combine", combine_kernel<T>, grid(args.routing.layout.rows * args.row), threads,
                 0, stream, args, in, static_cast<T*>(out));
        });
      };
    }
    return [=, dy = arrays.activations(step.dy), d_rows = arrays.activations(step.dx[0]),
            d_gates = arrays.activations(step.dx[1])] {
      differentiate(args, y, dy, d_rows, d_gates, stream);
    };
  }

 private:
  static dim3 grid(int64_t accesses) { return element_grid(accesses * element_width); }

  static void differentiate(const CombineArgs& args, Activations y, Activations dy,
                            Activations d_rows, Activations d_gates, Stream stream) {
    with_type(dy, [&]<class T>(T* slope) {
      if (d_rows) {
        launch("combine backward", rows_kernel<T>,
               grid(args.routing.layout.routed_rows() * args.row), threads, 0, stream, args, slope,
               static_cast<T*>(d_rows.data));
      }
      if (!d_gates) return;
      with_type(y, [&]<class Y>(Y* in) {
        launch("combine backward", gates_kernel<Y, T>, striding_grid(args.routing.layout.rows),
               threads, threads * sizeof(float), stream, args, in, slope,
               static_cast<T*>(d_gates.data));
      });
    });
  }

  RoutingLayout layout_;
  int64_t row_, gate_stride_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Combine&, LayerBuilder& builder) {
  return std::make_unique<CombineLayer>(builder);
}

}  // namespace hardmoe::cuda
