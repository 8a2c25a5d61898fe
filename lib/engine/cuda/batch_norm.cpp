#include "engine/ops/batch_norm.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class BatchNormLayer final : public Layer {
 public:
  BatchNormLayer(const BatchNorm& op, LayerBuilder& builder)
      : relu_(op.relu),
        batch_statistics_(builder.trains()),
        masked_(batch_statistics_ && op.relu && builder.inputs() > 1),
        precision_(builder.working_precision()),
        channels_(builder.held(builder.output_value())),
        rows_(builder.rows() * builder.output().extent.positions()),
        weight_(builder.parameter(".weight", channels_)),
        bias_(builder.parameter(".bias", channels_)),
        running_mean_(builder.parameter(".running_mean", channels_)),
        running_var_(builder.parameter(".running_var", channels_)),
        state_(builder.add_state(4 * channels_)),
        sums_(builder.channel_sums(builder.input_value())) {
    if (batch_statistics_) builder.need_workspace(4 * norm_workspace_floats(rows_, channels_));
  }

  int64_t saved_bytes() const override {
    return masked_ ? norm_mask_bytes(precision_, rows_, channels_) : 0;
  }

  /// Without the batch's statistics scale and shift change with the weights only.
  void refresh(const Arrays& arrays) override {
    if (batch_statistics_) return;
    const NormState state = state_of(arrays);
    norm_coefficients(arrays.weights(weight_), arrays.weights(bias_), arrays.weights(running_mean_),
                      arrays.weights(running_var_), channels_, state.scale, state.shift,
                      arrays.stream());
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
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
  NormState state_of(const Arrays& arrays) const {
    float* state = arrays.state(state_);
    return {state, state + channels_, state + 2 * channels_, state + 3 * channels_};
  }

  Work statistics(const Step& step, const Arrays& arrays) const {
    NormStatistics args;
    args.x = arrays.activations(step.x[0]);
    args.rows = rows_;
    args.channels = channels_;
    args.gamma = arrays.weights(weight_);
    args.beta = arrays.weights(bias_);
    args.running_mean = arrays.weights(running_mean_);
    args.running_var = arrays.weights(running_var_);
    args.state = state_of(arrays);
    args.workspace = arrays.workspace();
    const Stream stream = arrays.stream();
    if (sums_ < 0) return [=] { norm_statistics(args, stream); };
    const float* sums = arrays.state(sums_);
    return [=] { norm_statistics_from_sums(args, sums, sums + args.channels, stream); };
  }

  Work forward(const Step& step, const Arrays& arrays) const {
    NormApply args;
    args.x = arrays.activations(step.x[0]);
    args.residual = arrays.activations(step.x.size() > 1 ? step.x[1] : -1);
    args.y = arrays.activations(step.y);
    if (step.saved >= 0) args.mask = static_cast<uint8_t*>(arrays.at(step.saved));
    const NormState state = state_of(arrays);
    args.scale = state.scale;
    args.shift = state.shift;
    args.relu = relu_;
    args.rows = rows_;
    args.channels = channels_;
    const Stream stream = arrays.stream();
    if (!batch_statistics_) return [=] { norm_apply(args, stream); };
    return [=, sum_up = statistics(step, arrays)] {
      sum_up();
      norm_apply(args, stream);
    };
  }

  Work backward(const Step& step, const Arrays& arrays) const {
    NormBackward args;
    args.x = arrays.activations(step.x[0]);
    args.y = arrays.activations(step.y);
    if (step.saved >= 0) args.mask = static_cast<const uint8_t*>(arrays.at(step.saved));
    args.dy = arrays.activations(step.dy);
    args.dy2 = arrays.activations(step.dy2);
    args.dx = arrays.activations(step.dx[0]);
    args.gamma = arrays.weights(weight_);
    args.state = state_of(arrays);
    args.d_gamma = arrays.gradient(weight_);
    args.d_beta = arrays.gradient(bias_);
    args.relu = relu_;
    args.keep_g = step.dx[0] != step.dy || step.dy2 >= 0;
    args.rows = rows_;
    args.channels = channels_;
    args.workspace = arrays.workspace();
    return [args, stream = arrays.stream()] { norm_backward(args, stream); };
  }

  Work backward_of_frozen(const Step& step, const Arrays& arrays) const {
    FrozenNormBackward args;
    args.y = arrays.activations(step.y);
    args.dy = arrays.activations(step.dy);
    args.dy2 = arrays.activations(step.dy2);
    args.dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]);
    args.scale = state_of(arrays).scale;
    args.rows = rows_;
    args.channels = channels_;
    return [args, stream = arrays.stream()] { frozen_norm_backward(args, stream); };
  }

  bool relu_, batch_statistics_, masked_;
  Precision precision_;
  int64_t channels_, rows_;
  int weight_, bias_, running_mean_, running_var_;
  int64_t state_;  ///< mean, inverse deviation, scale, shift
  int64_t sums_;   ///< state of the input's channel sums; -1: none
};

}  // namespace

std::unique_ptr<Layer> make_layer(const BatchNorm& op, LayerBuilder& builder) {
  return std::make_unique<BatchNormLayer>(op, builder);
}

}  // namespace hardmoe::cuda
