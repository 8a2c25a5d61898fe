#include "engine/ops/linear.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class LinearLayer final : public Layer {
 public:
  LinearLayer(const Linear& op, LayerBuilder& builder)
      : working_(op.working),
        rows_(builder.rows()),
        in_(builder.input().extent.positions() * builder.held(builder.input_value())),
        out_(builder.held(builder.output_value())),
        weight_(builder.parameter(".weight", out_, builder.held(builder.input_value()),
                                  builder.input().extent.positions())),
        bias_(op.bias ? builder.parameter(".bias", out_) : -1) {
    const auto plan = [&](LinearPass pass) {
      auto made = builder.device().linears->plan(
          {pass, rows_, in_, out_, builder.options().precision, op.bias, op.working});
      builder.need_workspace(made->workspace_bytes());
      return made;
    };
    forward_ = plan(LinearPass::forward);
    if (builder.trains()) weight_gradient_ = plan(LinearPass::weight_gradient);
    if (builder.needs_gradient()) data_gradient_ = plan(LinearPass::data_gradient);
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    LinearArrays args;
    args.workspace = arrays.workspace();
    switch (step.pass) {
      case Pass::forward:
        args.x = arrays.at(step.x[0]);
        args.weights = arrays.working_weights(weight_);
        if (bias_ >= 0) {
          args.bias = working_ ? arrays.working_weights(bias_) : arrays.weights(bias_);
        }
        args.y = arrays.at(step.y);
        return [args, this] { forward_->run(args); };
      case Pass::backward_weights:
        args.x = arrays.at(step.x[0]);
        args.weights = arrays.gradient(weight_);
        args.y = arrays.at(step.dy);
        return [args, this, dy = arrays.activations(step.dy),
                sum = bias_ < 0 ? nullptr : arrays.gradient(bias_), stream = arrays.stream()] {
          if (sum != nullptr) bias_gradient(dy, rows_, out_, sum, stream);
          weight_gradient_->run(args);
        };
      default:
        args.x = arrays.at(step.dx[0]);
        args.weights = arrays.working_weights(weight_);
        args.y = arrays.at(step.dy);
        return [args, this] { data_gradient_->run(args); };
    }
  }

 private:
  bool working_;             ///< the output is in working precision
  int64_t rows_, in_, out_;  ///< in, out: elements of a row as held
  int weight_, bias_;        ///< -1: none
  std::shared_ptr<const LinearPlan> forward_, data_gradient_, weight_gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Linear& op, LayerBuilder& builder) {
  return std::make_unique<LinearLayer>(op, builder);
}

}  // namespace hardmoe::cuda
