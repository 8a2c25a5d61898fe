#include "engine/ops/expert_linear.h"

#include "engine/cuda/expert_layer.h"

namespace hardmoe::cuda {

std::unique_ptr<Layer> make_layer(const ExpertLinear& op, LayerBuilder& builder) {
  return make_expert_layer(op.experts, {}, op.bias, builder);
}

}  // namespace hardmoe::cuda
