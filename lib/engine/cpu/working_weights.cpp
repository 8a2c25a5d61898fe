#include "engine/cpu/working_weights.h"

namespace hardmoe::cpu {

void WorkingWeights::Copy::make(const onednn::Desc& held, const onednn::Desc& wanted) {
  if (wanted == held) return;
  data = Tensor(DType::u8, {static_cast<int64_t>(wanted.get_size())});
  reorder = std::make_unique<onednn::Reorder>(held, wanted);
}

void WorkingWeights::place(const float* weights, const onednn::Desc& held,
                           const onednn::Layer& layer) {
  weights_ = weights;
  forward_.make(held, layer.weights_forward);
  if (layer.backward_data) backward_.make(held, layer.weights_backward);
}

void WorkingWeights::refresh() {
  for (Copy* copy : {&forward_, &backward_}) {
    if (copy->reorder) copy->reorder->run(weights_, copy->data.data());
  }
}

}  // namespace hardmoe::cpu
