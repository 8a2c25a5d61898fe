#include "engine/ops/dispatch.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"
#include "engine/cuda/routing.cuh"

namespace hardmoe::cuda {
namespace {

/// Accesses of `element_width` elements; a row has a multiple of them.
struct DispatchArgs {
  Routing routing;
  int64_t row;  ///< accesses of a row
};

template <class T>
__global__ void __launch_bounds__(element_threads)
    copy_kernel(DispatchArgs args, const T* __restrict__ x, T* __restrict__ y) {
  const int64_t n = args.routing.layout.routed_rows() * args.row;
  const int64_t used = args.routing.used() * args.row;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * element_threads) {
    float v[element_width] = {};
    if (i < used) {
      const int64_t from = args.routing.source(i / args.row) * args.row + i % args.row;
      load(x + from * element_width, v);
    }
    store(y + i * element_width, v);
  }
}

template <class T>
__global__ void __launch_bounds__(element_threads)
    sum_kernel(DispatchArgs args, const T* __restrict__ dy, T* __restrict__ dx) {
  const int64_t n = args.routing.layout.rows * args.row;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * element_threads) {
    float sum[element_width] = {};
    for (int64_t choice = 0; choice < args.routing.layout.chosen; ++choice) {
      const int64_t slot = args.routing.slot(i / args.row, choice);
      if (slot < 0) break;
      float v[element_width];
      load(dy + (slot * args.row + i % args.row) * element_width, v);
#pragma unroll
      for (int k = 0; k < element_width; ++k) sum[k] += v[k];
    }
    store(dx + i * element_width, sum);
  }
}

class DispatchLayer final : public Layer {
 public:
  DispatchLayer(const Dispatch& op, LayerBuilder& builder)
      : layout_{builder.rows(), op.experts, chosen_of(builder.input(1), op.experts)},
        row_(builder.input().extent.positions() * builder.held(builder.input_value()) /
             element_width) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const bool forward = step.pass == Pass::forward;
    const BufferId routing = forward ? step.x[1] : step.x[0];
    const DispatchArgs args = {{static_cast<const int32_t*>(arrays.at(routing)), layout_}, row_};
    const Activations from = arrays.activations(forward ? step.x[0] : step.dy);
    void* to = arrays.at(forward ? step.y : step.dx[0]);
    const int64_t rows = forward ? layout_.routed_rows() : layout_.rows;
    return [=, stream = arrays.stream()] {
      with_type(from, [&]<class T>(T* in) {
        launch("dispatch", forward ? copy_kernel<T> : sum_kernel<T>,
               element_grid(rows * args.row * element_width), element_threads, 0, stream, args, in,
               static_cast<T*>(to));
      });
    };
  }

 private:
  RoutingLayout layout_;
  int64_t row_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Dispatch& op, LayerBuilder& builder) {
  return std::make_unique<DispatchLayer>(op, builder);
}

}  // namespace hardmoe::cuda
