// Convolutions of experts on their own rows, on a GPU: one kernel a pass for all experts, which
// finds in device memory which rows an expert got, so that a step stays one recorded graph and no
// expert computes rows that are not its own. A linear layer is one of a single position and tap.
// Products are float32's on ordinary cores.
#pragma once

#include <vector>

#include "engine/cuda/kernels.h"
#include "engine/ops/experts.h"
#include "engine/ops/operator.h"
#include "engine/ops/routing.h"

namespace hardmoe::cuda {

/// An address for each expert.
template <class T>
struct ExpertPointers {
  T* of[most_experts];
};

/// Returns address(parameter) of each expert's.
template <class T, class Address>
ExpertPointers<T> expert_pointers(const std::vector<int>& parameters, const Address& address) {
  ExpertPointers<T> result = {};
  for (size_t e = 0; e < parameters.size(); ++e) result.of[e] = address(parameters[e]);
  return result;
}

/// Sets the routed rows that no expert got to zero; `row` is their number of elements as held.
void clear_unused(const int32_t* routing, const RoutingLayout& layout, Activations array,
                  int64_t row, Stream stream);

/// The shape of a layer. Activations are rows×H×W×channels, weights O×taps×I, channels as held.
struct ExpertShape {
  const int32_t* routing = nullptr;  ///< on the device
  RoutingLayout layout = {};
  Window window;
  Extent in, out;  ///< of one row; channels as held
};

/// y = W_e∗x [+ b_e] of every used row; unused rows become zero. The weights have x's precision.
/// `bias`: null: none.
void expert_forward(const ExpertShape& shape, Activations x,
                    const ExpertPointers<const void>& weights,
                    const ExpertPointers<const float>* bias, Activations y, Stream stream);
/// dx of every used row; unused rows become zero. The weights have dy's precision.
void expert_backward_data(const ExpertShape& shape, Activations dy,
                          const ExpertPointers<const void>& weights, Activations dx, Stream stream);
/// Gradients of the weights, float32; zero for an expert without rows. x and dy of one precision.
void expert_backward_weights(const ExpertShape& shape, Activations x, Activations dy,
                             const ExpertPointers<float>& gradients, Stream stream);
/// Gradients of the biases, O each: the sum of dy over the expert's rows.
void expert_bias_gradient(const ExpertShape& shape, Activations dy,
                          const ExpertPointers<float>& gradients, Stream stream);

}  // namespace hardmoe::cuda
