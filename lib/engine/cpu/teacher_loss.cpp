#include "engine/ops/teacher_loss.h"

#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class TeacherLossLayer final : public Layer {
 public:
  TeacherLossLayer(const TeacherLoss& op, LayerBuilder& builder)
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
    return [=, this, scores = arrays.floats(step.x[0]), teacher = arrays.floats(step.x[1]),
            &running = arrays.running()] {
      running.loss_sums[static_cast<size_t>(op_.number)] +=
          teacher_loss(op_.spec, scores, teacher, rows_, tags_, row_losses_.data(), slope);
      if (rounded_) convert(slope, rows_ * tags_, gradient);
    };
  }

 private:
  TeacherLoss op_;
  int64_t rows_, tags_;
  bool rounded_;
  std::vector<double> row_losses_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TeacherLoss& op, LayerBuilder& builder) {
  return std::make_unique<TeacherLossLayer>(op, builder);
}

}  // namespace hardmoe::cpu
