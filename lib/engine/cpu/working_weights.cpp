#include "engine/cpu/working_weights.h"

namespace hardmoe::cpu {

void WorkingWeights::Copy::make(const onednn::Desc& held, const onednn::Desc& wanted) {
  if (wanted == held) return;
  bytes = cpu::whole_lines(wanted.get_size());
  reorder = std::make_unique<onednn::Reorder>(held, wanted);
}

WorkingWeights::WorkingWeights(const onednn::Desc& held, const onednn::Layer& layer) {
  forward_.make(held, layer.weights_forward);
  if (layer.backward_data) backward_.make(held, layer.weights_backward);
}

void WorkingWeights::place(const float* weights, std::byte* room) {
  weights_ = weights;
  forward_.data = room;
  backward_.data = room + forward_.bytes;
}

void WorkingWeights::refresh() {
  for (Copy* copy : {&forward_, &backward_}) {
    if (copy->reorder) copy->reorder->run(weights_, copy->data);
  }
}

}  // namespace hardmoe::cpu
