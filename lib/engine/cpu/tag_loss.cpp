#include "engine/ops/tag_loss.h"

#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class TagLossLayer final : public Layer {
 public:
  TagLossLayer(const TagLoss& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        tags_(builder.input().extent.elements()),
        rounded_(builder.precision() == Precision::bf16),
        row_losses_(static_cast<size_t>(rows_)) {
    if (rounded_) builder.need_scratch(static_cast<size_t>(rows_ * tags_) * sizeof(float));
  }

  Work work(const Step& step, const Arrays& arrays) override {
    const Activations gradient = arrays.activations(step.dx[0]);
    auto* slope = static_cast<float*>(rounded_ ? arrays.scratch().data : gradient.data);
    return [=, this, scores = arrays.floats(step.x[0]), &running = arrays.running()] {
      const Batch& batch = *running.batch;
      const float* weights = batch.weights.empty() ? nullptr : batch.weights.data();
      running.loss_sums[static_cast<size_t>(op_.number)] +=
          tag_loss(op_.spec, scores, {batch.tag_ptr.data(), batch.tag_ids.data(), weights}, rows_,
                   tags_, row_losses_.data(), slope);
      if (rounded_) convert(slope, rows_ * tags_, gradient);
    };
  }

 private:
  TagLoss op_;
  int64_t rows_, tags_;
  bool rounded_;
  std::vector<double> row_losses_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TagLoss& op, LayerBuilder& builder) {
  return std::make_unique<TagLossLayer>(op, builder);
}

}  // namespace hardmoe::cpu
