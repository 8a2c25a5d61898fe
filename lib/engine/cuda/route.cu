#include "engine/ops/route.h"

#include "engine/cuda/layer.h"
#include "engine/cuda/routing.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int threads = 256;

struct RouteArgs {
  const float* gates;  ///< rows×stride
  int64_t stride;
  RoutingLayout layout;
  int32_t* routing;
  float* usage;  ///< null: not kept
};

/// Returns the number of the row's choice that is `expert`; −1: it is none of its first k.
__device__ __forceinline__ int64_t choice_of(const RouteArgs& args, int64_t row, int64_t expert) {
  const float* gates = args.gates + row * args.stride;
  if (!(gates[expert] != 0)) return -1;
  int64_t before = 0;
  for (int64_t e = 0; e < expert; ++e) before += gates[e] != 0 ? 1 : 0;
  return before < args.layout.chosen ? before : -1;
}

/// Returns the sum of value over the threads before this one, and all of them in `total`. Every thread
/// of the block calls it.
__device__ __forceinline__ int sum_before(int value, int& total) {
  int* shared = reinterpret_cast<int*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = value;
  __syncthreads();
  for (int reach = 1; reach < threads; reach *= 2) {
    const int more = thread >= reach ? shared[thread - reach] : 0;
    __syncthreads();
    shared[thread] += more;
    __syncthreads();
  }
  total = shared[threads - 1];
  const int before = shared[thread] - value;
  __syncthreads();
  return before;
}

/// Marks all choices and routed rows as unused.
__global__ void __launch_bounds__(threads) clear_kernel(RouteArgs args) {
  const int64_t n = 2 * args.layout.routed_rows();
  int32_t* both = args.routing + args.layout.slots();
  for (int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * threads) {
    both[i] = -1;
  }
}

/// A block an expert: its rows, at offsets[e + 1].
__global__ void __launch_bounds__(threads) count_kernel(RouteArgs args) {
  const int64_t expert = blockIdx.x;
  int count = 0;
  for (int64_t row = threadIdx.x; row < args.layout.rows; row += threads) {
    count += choice_of(args, row, expert) >= 0 ? 1 : 0;
  }
  int total = 0;
  sum_before(count, total);
  if (threadIdx.x == 0) args.routing[expert + 1] = total;
}

/// One thread: counts become offsets, and shares join the usage.
__global__ void offsets_kernel(RouteArgs args) {
  int32_t* offsets = args.routing;
  const int64_t experts = args.layout.experts;
  const float choices = static_cast<float>(args.layout.routed_rows());
  offsets[0] = 0;
  for (int64_t e = 0; e < experts; ++e) {
    if (args.usage != nullptr) {
      const float share = static_cast<float>(offsets[e + 1]) / choices;
      args.usage[e] += Route::usage_momentum * (share - args.usage[e]);
    }
    offsets[e + 1] += offsets[e];
  }
}

/// A block an expert: gives its rows their routed rows, in order.
__global__ void __launch_bounds__(threads) place_kernel(RouteArgs args) {
  const int64_t expert = blockIdx.x;
  int64_t next = args.routing[expert];
  int32_t* slots = args.routing + args.layout.slots();
  int32_t* sources = args.routing + args.layout.sources();
  for (int64_t first = 0; first < args.layout.rows; first += threads) {
    const int64_t row = first + threadIdx.x;
    const int64_t choice = row < args.layout.rows ? choice_of(args, row, expert) : -1;
    int total = 0;
    const int before = sum_before(choice >= 0 ? 1 : 0, total);
    if (choice >= 0) {
      slots[row * args.layout.chosen + choice] = static_cast<int32_t>(next + before);
      sources[next + before] = static_cast<int32_t>(row);
    }
    next += total;
  }
}

class RouteLayer final : public Layer {
 public:
  RouteLayer(const Route& op, LayerBuilder& builder)
      : layout_{builder.rows(), builder.input().extent.channels, op.chosen},
        stride_(builder.held(builder.input_value())),
        training_(builder.training()),
        usage_(builder.parameter(".usage", stride_)) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const RouteArgs args = {arrays.floats(step.x[0]), stride_, layout_,
                            static_cast<int32_t*>(arrays.at(step.y)),
                            training_ ? arrays.weights(usage_) : nullptr};
    return [args, stream = arrays.stream()] {
      constexpr size_t shared = threads * sizeof(int);
      const int64_t experts = args.layout.experts;
      launch("route", clear_kernel,
             striding_grid(divide_up(2 * args.layout.routed_rows(), threads)), threads, 0, stream,
             args);
      launch("route", count_kernel, experts, threads, shared, stream, args);
      launch("route", offsets_kernel, int64_t{1}, 1, 0, stream, args);
      launch("route", place_kernel, experts, threads, shared, stream, args);
    };
  }

 private:
  RoutingLayout layout_;
  int64_t stride_;
  bool training_;
  int usage_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Route& op, LayerBuilder& builder) {
  return std::make_unique<RouteLayer>(op, builder);
}

}  // namespace hardmoe::cuda
