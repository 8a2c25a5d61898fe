#include "engine/ops/conv.h"

#include "base/error.h"
#include "engine/cuda/conv.h"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

std::shared_ptr<const ConvPlan> plan_of(const LayerBuilder& builder, const ConvShape& shape,
                                        ConvPass pass) {
  const CompileOptions& options = builder.options();
  ConvPlanner& planner = *builder.device().convolutions;
  auto plan = planner.plan({pass, shape, options.precision, options.deterministic});
  if (plan == nullptr && pass != ConvPass::forward_sums) {
    fail(
        "layer '{}': {} has no way to compute its {}×{} convolution, {} to {} channels of {}×{}, "
        "in {}{}",
        builder.name(), planner.describe(), shape.kernel, shape.kernel, shape.channels,
        shape.out_channels, shape.height, shape.width, name_of(options.precision),
        options.deterministic ? " and deterministically; try without deterministic" : "");
  }
  return plan;
}

class ConvLayer final : public Layer {
 public:
  ConvLayer(const Conv& op, LayerBuilder& builder)
      : shape_(conv_shape(op.window, builder.input().extent, builder.held(builder.input_value()),
                          builder.output().extent, builder.held(builder.output_value()),
                          builder.rows())),
        weight_(builder.parameter(".weight", shape_.out_channels, shape_.channels,
                                  int64_t{shape_.kernel} * shape_.kernel)) {
    choose_forward(builder);
    if (builder.trains()) {
      weight_gradient_ = plan_of(builder, shape_, ConvPass::weight_gradient);
    }
    if (builder.needs_gradient()) {
      data_gradient_ = plan_of(builder, shape_, ConvPass::data_gradient);
    }
    for (const auto& plan : {forward_, data_gradient_, weight_gradient_}) {
      if (plan != nullptr) builder.need_workspace(plan->workspace_bytes());
    }
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    ConvArrays args;
    args.workspace = arrays.workspace();
    switch (step.pass) {
      case Pass::forward:
        args.x = arrays.at(step.x[0]);
        args.weights = arrays.working_weights(weight_);
        args.y = arrays.at(step.y);
        if (sums_ >= 0) {
          args.sum = arrays.state(sums_);
          args.squares = args.sum + shape_.out_channels;
        }
        return [args, this] { forward_->run(args); };
      case Pass::backward_weights:
        args.x = arrays.at(step.x[0]);
        args.weights = arrays.gradient(weight_);
        args.y = arrays.at(step.dy);
        return [args, this] { weight_gradient_->run(args); };
      default:
        args.x = arrays.at(step.dx[0]);
        args.weights = arrays.working_weights(weight_);
        args.y = arrays.at(step.dy);
        return [args, this] { data_gradient_->run(args); };
    }
  }

 private:
  /// With the sums for the batch norm where that costs less than reading the output again. Sums of
  /// squares lose digits that bf16 does not have.
  void choose_forward(LayerBuilder& builder) {
    forward_ = plan_of(builder, shape_, ConvPass::forward);
    if (!builder.is_bf16() || builder.options().deterministic || !feeds_norms(builder)) return;
    const auto with_sums = plan_of(builder, shape_, ConvPass::forward_sums);
    if (with_sums == nullptr || with_sums->seconds() == 0 || forward_->seconds() == 0) return;
    const double reading =
        static_cast<double>(2 * shape_.y_elements()) / builder.device().gpu.bytes_per_second();
    if (with_sums->seconds() > forward_->seconds() + reading) return;
    forward_ = with_sums;
    sums_ = builder.channel_sums(builder.output_value()) =
        builder.add_state(2 * shape_.out_channels);
  }

  /// Whether the output is read by batch norms alone that take the batch's statistics.
  static bool feeds_norms(const LayerBuilder& builder) {
    const Graph& graph = builder.graph();
    const int value = builder.output_value();
    const auto& readers = graph.readers[static_cast<size_t>(value)];
    return !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](int reader) {
      const Node& node = graph.nodes[static_cast<size_t>(reader)];
      return std::holds_alternative<BatchNorm>(node.op) && node.inputs[0] == value &&
             graph.trained_nodes[static_cast<size_t>(reader)];
    });
  }

  ConvShape shape_;
  int weight_;
  std::shared_ptr<const ConvPlan> forward_, data_gradient_, weight_gradient_;
  int64_t sums_ = -1;  ///< state where forward leaves the sums of its output's channels
};

}  // namespace

ConvShape conv_shape(const Window& window, const Extent& in, int64_t held_in, const Extent& out,
                     int64_t held_out, int64_t rows) {
  ConvShape shape;
  shape.batch = rows;
  shape.height = in.height;
  shape.width = in.width;
  shape.channels = held_in;
  shape.out_height = out.height;
  shape.out_width = out.width;
  shape.out_channels = held_out;
  shape.kernel = window.kernel;
  shape.stride = window.stride;
  shape.padding = window.padding;
  return shape;
}

std::unique_ptr<Layer> make_layer(const Conv& op, LayerBuilder& builder) {
  return std::make_unique<ConvLayer>(op, builder);
}

}  // namespace hardmoe::cuda
