#include "engine/ops/positions.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"
#include "engine/cuda/rows.h"

namespace hardmoe::cuda {
namespace {

/// What sincos_table() says, rows of `held` channels.
__global__ void __launch_bounds__(element_threads)
    sincos_kernel(Positions op, int64_t channels, int64_t held, float* table) {
  const int64_t n = (op.class_tokens + op.height * op.width) * held;
  const int64_t step = int64_t{gridDim.x} * element_threads;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x; i < n; i += step) {
    const int64_t token = i / held - op.class_tokens, channel = i % held, quarter = channels / 4;
    float value = 0;
    if (token >= 0 && channel < channels) {
      const int64_t kind = channel / quarter;
      const double part = static_cast<double>(channel % quarter) / static_cast<double>(quarter - 1);
      const int64_t place = kind < 2 ? token % op.width : token / op.width;
      const double angle = static_cast<double>(place) * pow(10000.0, -part);
      value = static_cast<float>(kind % 2 == 0 ? sin(angle) : cos(angle));
    }
    table[i] = value;
  }
}

/// The table of all tokens is one row of an image.
class PositionsLayer final : public Layer {
 public:
  PositionsLayer(const Positions& op, LayerBuilder& builder)
      : op_(op),
        images_(builder.options().batch),
        channels_(builder.output().extent.channels),
        held_(builder.held(builder.output_value())),
        tokens_(builder.rows() / images_) {
    if (op.sincos) {
      fixed_ = builder.add_state(tokens_ * held_);
    } else {
      table_ = builder.parameter("", tokens_, held_);
    }
  }

  void refresh(const Arrays& arrays) override {
    if (table_ >= 0) return;
    launch("sin-cos positions", sincos_kernel, element_grid(tokens_ * held_), element_threads, 0,
           arrays.stream(), op_, channels_, held_, arrays.state(fixed_));
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    const int64_t elements = tokens_ * held_;
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      const float* table = table_ < 0 ? arrays.state(fixed_) : arrays.weights(table_);
      return [=, this, x = arrays.activations(step.x[0]), y = arrays.activations(step.y)] {
        add_row(x, table, images_, elements, y, stream);
      };
    }
    return [=, this, dy = arrays.activations(step.dy), gradient = arrays.gradient(table_)] {
      bias_gradient(dy, images_, elements, gradient, stream);
    };
  }

 private:
  Positions op_;
  int64_t images_, channels_, held_, tokens_;
  int table_ = -1;     ///< number of the parameter; -1: none
  int64_t fixed_ = 0;  ///< offset of the state that holds the table, where it is not learned
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Positions& op, LayerBuilder& builder) {
  return std::make_unique<PositionsLayer>(op, builder);
}

}  // namespace hardmoe::cuda
