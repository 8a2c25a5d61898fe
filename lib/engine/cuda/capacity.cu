// Capacity on a GPU, in three kernels: each row's choices; the order in which a group's rows are
// served, by counting for each row those before it; and for each group and expert one block that
// counts the choices of that expert in the order of service, a stretch of them a thread.
#include "engine/ops/capacity.h"

#include "engine/cuda/gate_backward.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

constexpr int threads = gate_threads;

struct CapacityArgs {
  int k;
  double factor;
  int experts;
  int64_t held;
  int64_t planned;   ///< rows there is memory for
  int64_t an_image;  ///< rows
  int64_t group;     ///< rows; 0: all that are used
  const StepFactors* factors;
  const float* x;
  float* y;
  int* choices;    ///< k×planned: experts, −1: none
  float* largest;  ///< planned: the largest gate of each row
  int* order;      ///< planned: rows, group by group as they are served; null: as they stand

  __device__ __forceinline__ int64_t used() const { return factors->images * an_image; }
};

/// A group's rows.
struct Group {
  int64_t first, rows;
};
__device__ __forceinline__ Group group_of(const CapacityArgs& args, int64_t number) {
  const int64_t used = args.used(), size = args.group == 0 ? used : args.group;
  const int64_t first = number * size, left = used - first;
  return {first, left < 0 ? 0 : left < size ? left : size};
}

/// Notes a row's choices and its largest gate, and begins its output: 0, but for a NaN.
struct FindChoices {
  CapacityArgs args;

  __device__ __forceinline__ void operator()(int64_t row) const {
    const GateRow gates = {args.x + row * args.held, args.experts};
    const bool used = row < args.used();
    for (int64_t i = 0; i < args.held; ++i) {
      const float gate = i < args.experts && used ? gates.at(static_cast<int>(i)) : 0.0F;
      args.y[row * args.held + i] = gate != gate ? gate : 0.0F;
    }
    if (!used) return;
    int expert = next_choice(gates, -1);
    const float largest = gates.at(expert);
    args.largest[row] = largest != largest ? INFINITY : largest;
    for (int choice = 0; choice < args.k; ++choice) {
      const float gate = gates.at(expert);
      args.choices[choice * args.planned + row] = gate == 0 || gate != gate ? -1 : expert;
      if (choice + 1 < args.k) expert = next_choice(gates, expert);
    }
  }
};

/// A block's rows are all compared with all of their group, `threads` at a time.
__global__ void __launch_bounds__(threads) order_kernel(CapacityArgs args) {
  float* others = reinterpret_cast<float*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  const Group group = group_of(args, blockIdx.y);
  const int64_t place = int64_t{blockIdx.x} * threads + thread;
  const bool inside = place < group.rows;
  const float mine = inside ? args.largest[group.first + place] : 0.0F;
  int64_t before = 0;
  for (int64_t from = 0; from < group.rows; from += threads) {
    __syncthreads();
    if (from + thread < group.rows) others[thread] = args.largest[group.first + from + thread];
    __syncthreads();
    const int64_t count = group.rows - from < threads ? group.rows - from : threads;
    for (int64_t i = 0; i < count; ++i) {
      before += others[i] > mine || (others[i] == mine && from + i < place) ? 1 : 0;
    }
  }
  if (inside) args.order[group.first + before] = static_cast<int>(group.first + place);
}

/// Calls body(row) for the thread's stretch of a group's choices that are the block's expert: all
/// first choices, then all second ones.
template <class Body>
__device__ __forceinline__ void for_stretch(const CapacityArgs& args, const Group& group,
                                            int expert, const Body& body) {
  const int64_t all = group.rows * args.k;
  const int64_t begin = all * threadIdx.x / threads, end = all * (threadIdx.x + 1) / threads;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t place = group.first + i % group.rows;
    const int64_t row = args.order == nullptr ? place : args.order[place];
    if (args.choices[i / group.rows * args.planned + row] == expert) body(row);
  }
}

__global__ void __launch_bounds__(threads) serve_kernel(CapacityArgs args) {
  int* counts = reinterpret_cast<int*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  const int expert = static_cast<int>(blockIdx.x);
  const Group group = group_of(args, blockIdx.y);
  int mine = 0;
  for_stretch(args, group, expert, [&](int64_t) { ++mine; });
  counts[thread] = mine;
  __syncthreads();
  for (int distance = 1; distance < threads; distance *= 2) {  // sums up to and with each thread
    const int earlier = thread >= distance ? counts[thread - distance] : 0;
    __syncthreads();
    counts[thread] += earlier;
    __syncthreads();
  }
  int64_t place = counts[thread] - mine;
  const int64_t room = capacity_of(group.rows, args.k, args.factor, args.experts);
  for_stretch(args, group, expert, [&](int64_t row) {
    if (place++ < room) {
      const int64_t at = row * args.held + expert;
      args.y[at] = args.x[at];
    }
  });
}

class CapacityLayer final : public Layer {
 public:
  CapacityLayer(const Capacity& op, LayerBuilder& builder)
      : prioritised_(op.has_priority(builder.training())),
        args_{op.k,
              op.factor,
              static_cast<int>(builder.output().extent.channels),
              builder.held(builder.output_value()),
              builder.rows(),
              builder.input().planned_rows(1),
              builder.training() ? 0 : op.group * builder.input().planned_rows(1),
              nullptr,
              nullptr,
              nullptr,
              nullptr,
              nullptr,
              nullptr} {
    builder.need_workspace(4 * args_.planned * (op.k + 2));
  }

  Work work(const Step& step, const Arrays& arrays, int slot) override {
    CapacityArgs args = args_;
    args.y = arrays.floats(step.y);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::backward) {
      return [=, dy = arrays.activations(step.dy)] {
        differentiate_gates("capacity backward", args.y, args.planned, args.experts, args.held,
                            false, dy, stream);
      };
    }
    args.x = arrays.floats(step.x[0]);
    args.factors = arrays.input().factors(slot);
    args.largest = arrays.workspace();
    args.choices = reinterpret_cast<int*>(args.largest + args.planned);
    if (prioritised_) args.order = args.choices + args.k * args.planned;
    return [=, this] {
      for_gate_rows("capacity", args.planned, FindChoices{args}, stream);
      const int64_t size = args.group == 0 ? args.planned : args.group;
      const auto groups = static_cast<unsigned>(divide_up(args.planned, size));
      if (prioritised_) {
        const auto blocks = static_cast<unsigned>(divide_up(size, threads));
        launch("capacity", order_kernel, dim3(blocks, groups), threads, threads * sizeof(float),
               stream, args);
      }
      launch("capacity", serve_kernel, dim3(static_cast<unsigned>(args.experts), groups), threads,
             threads * sizeof(int), stream, args);
    };
  }

 private:
  bool prioritised_;
  CapacityArgs args_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Capacity& op, LayerBuilder& builder) {
  return std::make_unique<CapacityLayer>(op, builder);
}

}  // namespace hardmoe::cuda
