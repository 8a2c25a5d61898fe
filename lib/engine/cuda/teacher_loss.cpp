#include "engine/ops/teacher_loss.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class TeacherLossLayer final : public Layer {
 public:
  TeacherLossLayer(const TeacherLoss& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        tags_(builder.input().extent.elements()),
        held_(builder.held(builder.input_value())) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    TeacherLossArgs args;
    args.kind = op_.spec.kind;
    args.temperature = op_.spec.temperature;
    args.weight = op_.spec.weight;
    args.logits = arrays.floats(step.x[0]);
    args.teacher = arrays.floats(step.x[1]);
    args.n = rows_;
    args.tags = tags_;
    args.stride = held_;
    args.row_loss = arrays.row_losses();
    args.loss_sum = arrays.loss_sum(op_.number);
    args.gradient = arrays.activations(step.dx[0]);
    return [args, stream = arrays.stream()] { teacher_loss(args, stream); };
  }

 private:
  TeacherLoss op_;
  int64_t rows_, tags_, held_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TeacherLoss& op, LayerBuilder& builder) {
  return std::make_unique<TeacherLossLayer>(op, builder);
}

}  // namespace hardmoe::cuda
