#include "engine/ops/expert_conv.h"

#include "engine/cuda/expert_layer.h"

namespace hardmoe::cuda {

std::unique_ptr<Layer> make_layer(const ExpertConv& op, LayerBuilder& builder) {
  return make_expert_layer(op.experts, op.window, /*bias=*/false, builder);
}

}  // namespace hardmoe::cuda
