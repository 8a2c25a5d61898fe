#include "engine/ops/batch_norm.h"

#include <vector>

#include "engine/cpu/layer.h"
#include "engine/cpu/norm_state.h"

namespace hardmoe::cpu {
namespace {

class BatchNormLayer final : public Layer {
 public:
  BatchNormLayer(const BatchNorm& op, LayerBuilder& builder)
      : relu_(op.relu),
        batch_statistics_(builder.trains()),
        channels_(builder.output().extent.channels),
        rows_(builder.rows() * builder.output().extent.positions()),
        weight_(builder.parameter(".weight")),
        bias_(builder.parameter(".bias")),
        running_mean_(builder.parameter(".running_mean")),
        running_var_(builder.parameter(".running_var")),
        workspace_(norm_workspace(channels_)),
        state_(channels_) {}

  Work work(const Step& step, const Arrays& arrays) override {
    switch (step.pass) {
      case Pass::forward:
        return forward(step, arrays);
      case Pass::backward:
        return backward(step, arrays);
      default:
        return backward_of_frozen(step, arrays);
    }
  }

 private:
  Work forward(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), y = arrays.activations(step.y);
    const Activations residual = arrays.activations(step.x.size() > 1 ? step.x[1] : -1);
    const NormParameters p = {arrays.weights(weight_), arrays.weights(bias_),
                              arrays.weights(running_mean_), arrays.weights(running_var_)};
    return [=, this] {
      state_.find(x, rows_, p, batch_statistics_, workspace_);
      norm_apply(x, residual, state_.scale(), state_.shift(), relu_, rows_, channels_, y);
    };
  }

  Work backward(const Step& step, const Arrays& arrays) {
    NormBackward args;
    args.x = arrays.activations(step.x[0]);
    args.y = arrays.activations(step.y);
    args.dy = arrays.activations(step.dy);
    args.dy2 = arrays.activations(step.dy2);
    args.dx = arrays.activations(step.dx[0]);
    args.gamma = arrays.weights(weight_);
    state_.give(args);
    args.d_gamma = arrays.gradient(weight_);
    args.d_beta = arrays.gradient(bias_);
    args.relu = relu_;
    args.keep_g = step.dx[0] != step.dy || step.dy2 >= 0;
    args.channels = channels_;
    args.rows = rows_;
    return [args, this] { norm_backward(args, workspace_); };
  }

  Work backward_of_frozen(const Step& step, const Arrays& arrays) {
    FrozenNormBackward args;
    args.y = arrays.activations(step.y);
    args.dy = arrays.activations(step.dy);
    args.dy2 = arrays.activations(step.dy2);
    args.dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]);
    args.scale = state_.scale();
    args.channels = channels_;
    args.rows = rows_;
    return [args] { frozen_norm_backward(args); };
  }

  bool relu_, batch_statistics_;
  int64_t channels_, rows_;
  int weight_, bias_, running_mean_, running_var_;
  std::vector<double> workspace_;
  NormState state_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const BatchNorm& op, LayerBuilder& builder) {
  return std::make_unique<BatchNormLayer>(op, builder);
}

}  // namespace hardmoe::cpu
