#include "engine/cuda/expert_layer.h"

#include <vector>

namespace hardmoe::cuda {
namespace {

class ExpertLayer final : public Layer {
 public:
  ExpertLayer(int64_t experts, const Window& window, bool bias, LayerBuilder& builder) {
    shape_.layout = {builder.input(1).planned_rows(builder.options().batch), experts,
                     chosen_of(builder.input(1), experts)};
    shape_.window = window;
    shape_.in = builder.input().extent;
    shape_.out = builder.output().extent;
    shape_.in.channels = builder.held(builder.input_value());
    shape_.out.channels = builder.held(builder.output_value());
    for (int64_t e = 0; e < experts; ++e) {
      const std::string name = expert_name("", e);
      weights_.push_back(builder.parameter((name + ".weight").c_str(), shape_.out.channels,
                                           shape_.in.channels,
                                           int64_t{window.kernel} * window.kernel));
      if (bias) {
        biases_.push_back(builder.parameter((name + ".bias").c_str(), shape_.out.channels));
      }
    }
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    switch (step.pass) {
      case Pass::forward:
        return forward(step, arrays);
      case Pass::backward_weights:
        return backward_weights(step, arrays);
      default:
        return backward_data(step, arrays);
    }
  }

 private:
  ExpertShape shape(BufferId routing, const Arrays& arrays) const {
    ExpertShape shape = shape_;
    shape.routing = static_cast<const int32_t*>(arrays.at(routing));
    return shape;
  }
  ExpertPointers<const void> working_weights(const Arrays& arrays) const {
    return expert_pointers<const void>(weights_,
                                       [&](int number) { return arrays.working_weights(number); });
  }
  ExpertPointers<float> gradients(const std::vector<int>& parameters, const Arrays& arrays) const {
    return expert_pointers<float>(parameters, [&](int number) { return arrays.gradient(number); });
  }

  Work forward(const Step& step, const Arrays& arrays) const {
    const auto bias =
        expert_pointers<const float>(biases_, [&](int number) { return arrays.weights(number); });
    return [bias, with_bias = !biases_.empty(), shape = shape(step.x[1], arrays),
            weights = working_weights(arrays), x = arrays.activations(step.x[0]),
            y = arrays.activations(step.y), stream = arrays.stream()] {
      expert_forward(shape, x, weights, with_bias ? &bias : nullptr, y, stream);
    };
  }

  Work backward_weights(const Step& step, const Arrays& arrays) const {
    return [with_bias = !biases_.empty(), shape = shape(step.x[1], arrays),
            weights = gradients(weights_, arrays), bias = gradients(biases_, arrays),
            x = arrays.activations(step.x[0]), dy = arrays.activations(step.dy),
            stream = arrays.stream()] {
      expert_backward_weights(shape, x, dy, weights, stream);
      if (with_bias) expert_bias_gradient(shape, dy, bias, stream);
    };
  }

  Work backward_data(const Step& step, const Arrays& arrays) const {
    return [shape = shape(step.x[0], arrays), weights = working_weights(arrays),
            dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0]),
            stream = arrays.stream()] { expert_backward_data(shape, dy, weights, dx, stream); };
  }

  ExpertShape shape_;
  std::vector<int> weights_, biases_;  ///< by expert
};

}  // namespace

std::unique_ptr<Layer> make_expert_layer(int64_t experts, const Window& window, bool bias,
                                         LayerBuilder& builder) {
  return std::make_unique<ExpertLayer>(experts, window, bias, builder);
}

}  // namespace hardmoe::cuda
