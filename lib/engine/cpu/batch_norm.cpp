#include "engine/ops/batch_norm.h"

#include <cmath>

#include "engine/cpu/layer.h"

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
        workspace_(norm_workspace(channels_)) {
    for (auto* v : {&mean_, &variance_, &inverse_, &scale_, &shift_}) {
      v->resize(static_cast<size_t>(channels_));
    }
  }

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
    return [=, this, running_mean = arrays.weights(running_mean_),
            running_var = arrays.weights(running_var_), gamma = arrays.weights(weight_),
            beta = arrays.weights(bias_)] {
      const float* mean = running_mean;
      const float* variance = running_var;
      if (batch_statistics_) {
        norm_statistics(x, rows_, channels_, mean_.data(), variance_.data(), workspace_);
        mean = mean_.data();
        variance = variance_.data();
        const float unbias =
            static_cast<float>(rows_) / static_cast<float>(std::max<int64_t>(rows_ - 1, 1));
        constexpr float pace = batch_norm_momentum;
        for (int64_t c = 0; c < channels_; ++c) {
          running_mean[c] += pace * (mean[c] - running_mean[c]);
          running_var[c] += pace * (variance[c] * unbias - running_var[c]);
        }
      }
      for (size_t c = 0; c < scale_.size(); ++c) {
        inverse_[c] = 1 / std::sqrt(variance[c] + batch_norm_epsilon);
        scale_[c] = gamma[c] * inverse_[c];
        shift_[c] = beta[c] - mean[c] * scale_[c];
      }
      norm_apply(x, residual, scale_.data(), shift_.data(), relu_, rows_, channels_, y);
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
    args.mean = mean_.data();
    args.inverse_deviation = inverse_.data();
    args.scale = scale_.data();
    args.shift = shift_.data();
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
    args.scale = scale_.data();
    args.channels = channels_;
    args.rows = rows_;
    return [args] { frozen_norm_backward(args); };
  }

  bool relu_, batch_statistics_;
  int64_t channels_, rows_;
  int weight_, bias_, running_mean_, running_var_;
  std::vector<double> workspace_;
  std::vector<float> mean_, variance_, inverse_, scale_, shift_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const BatchNorm& op, LayerBuilder& builder) {
  return std::make_unique<BatchNormLayer>(op, builder);
}

}  // namespace hardmoe::cpu
