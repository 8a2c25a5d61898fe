#include "engine/ops/tag_loss.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class TagLossLayer final : public Layer {
 public:
  TagLossLayer(const hardmoe::TagLoss& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        tags_(builder.input().extent.elements()),
        held_(builder.held(builder.input_value())) {}

  Work work(const Step& step, const Arrays& arrays, int slot) override {
    TagLossArgs args;
    args.kind = op_.spec.kind;
    args.smoothing = op_.spec.label_smoothing;
    args.weight = op_.spec.weight;
    args.logits = arrays.floats(step.x[0]);
    args.tag_ptr = arrays.input().tag_ptr(slot);
    args.tag_ids = arrays.input().tag_ids(slot);
    args.row_weights = arrays.input().weights(slot);
    args.n = rows_;
    args.tags = tags_;
    args.stride = held_;
    args.row_loss = arrays.row_losses();
    args.loss_sum = arrays.loss_sum(op_.number);
    args.gradient = arrays.activations(step.dx[0]);
    return [args, stream = arrays.stream()] { tag_loss(args, stream); };
  }

 private:
  hardmoe::TagLoss op_;
  int64_t rows_, tags_, held_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const hardmoe::TagLoss& op, LayerBuilder& builder) {
  return std::make_unique<TagLossLayer>(op, builder);
}

}  // namespace hardmoe::cuda
