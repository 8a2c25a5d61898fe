#include "engine/ops/expert_norm.h"

#include <algorithm>
#include <vector>

#include "engine/cpu/layer.h"
#include "engine/cpu/norm_state.h"
#include "engine/cpu/routing.h"
#include "engine/ops/experts.h"

namespace hardmoe::cpu {
namespace {

class ExpertNormLayer final : public Layer {
 public:
  ExpertNormLayer(const ExpertNorm& op, LayerBuilder& builder)
      : relu_(op.relu),
        batch_statistics_(builder.trains()),
        layout_{builder.input(1).planned_rows(builder.batch()), op.experts,
                chosen_of(builder.input(1), op.experts)},
        channels_(builder.output().extent.channels),
        positions_(builder.output().extent.positions()),
        workspace_(norm_workspace(channels_)),
        states_(static_cast<size_t>(op.experts), NormState(channels_)) {
    for (int64_t e = 0; e < op.experts; ++e) {
      const auto parameter = [&](const char* suffix) {
        return builder.parameter((expert_name("", e) + suffix).c_str());
      };
      parameters_.push_back({parameter(".weight"), parameter(".bias"), parameter(".running_mean"),
                             parameter(".running_var")});
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
  struct Parameters {
    int weight, bias, running_mean, running_var;
  };
  NormState& state(int64_t expert) { return states_[static_cast<size_t>(expert)]; }
  Routing routing(BufferId buffer, const Arrays& arrays) const {
    return {reinterpret_cast<const int32_t*>(arrays.at(buffer)), layout_};
  }
  /// An expert's rows of an array that may be empty.
  Activations rows_of(Activations array, const Routing& routed, int64_t expert) const {
    if (!array) return {};
    return from_element(array, routed.first(expert) * positions_ * channels_);
  }
  int64_t row_elements() const { return positions_ * channels_; }

  Work forward(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), y = arrays.activations(step.y);
    const Activations residual = arrays.activations(step.x.size() > 2 ? step.x[2] : -1);
    return [=, this, routed = routing(step.x[1], arrays), &arrays] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        const int64_t rows = routed.rows(e) * positions_;
        if (rows == 0) continue;
        const Parameters& p = parameters_[static_cast<size_t>(e)];
        state(e).find(rows_of(x, routed, e), rows,
                      {arrays.weights(p.weight), arrays.weights(p.bias),
                       arrays.weights(p.running_mean), arrays.weights(p.running_var)},
                      batch_statistics_, workspace_);
        norm_apply(rows_of(x, routed, e), rows_of(residual, routed, e), state(e).scale(),
                   state(e).shift(), relu_, rows, channels_, rows_of(y, routed, e));
      }
      clear_unused(y, layout_, routed, row_elements());
    };
  }

  Work backward(const Step& step, const Arrays& arrays) {
    NormBackward all = {};
    all.x = arrays.activations(step.x[1]);
    all.y = arrays.activations(step.y);
    all.dy = arrays.activations(step.dy);
    all.dy2 = arrays.activations(step.dy2);
    all.dx = arrays.activations(step.dx[0]);
    all.relu = relu_;
    all.keep_g = step.dx[0] != step.dy || step.dy2 >= 0;
    all.channels = channels_;
    return [all, this, routed = routing(step.x[0], arrays), &arrays] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        NormBackward args = all;
        args.rows = routed.rows(e) * positions_;
        const Parameters& p = parameters_[static_cast<size_t>(e)];
        args.d_gamma = arrays.gradient(p.weight);
        args.d_beta = arrays.gradient(p.bias);
        if (args.rows == 0) {
          std::fill_n(args.d_gamma, channels_, 0.0F);
          std::fill_n(args.d_beta, channels_, 0.0F);
          continue;
        }
        args.gamma = arrays.weights(p.weight);
        state(e).give(args);
        for (Activations* array : {&args.x, &args.y, &args.dy, &args.dy2, &args.dx}) {
          *array = rows_of(*array, routed, e);
        }
        norm_backward(args, workspace_);
      }
      clear_unused(all.dx, layout_, routed, row_elements());
    };
  }

  Work backward_of_frozen(const Step& step, const Arrays& arrays) {
    FrozenNormBackward all;
    all.y = arrays.activations(step.y);
    all.dy = arrays.activations(step.dy);
    all.dy2 = arrays.activations(step.dy2);
    all.dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]);
    all.channels = channels_;
    return [all, this, routed = routing(step.x[0], arrays)] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        FrozenNormBackward args = all;
        args.rows = routed.rows(e) * positions_;
        if (args.rows == 0) continue;
        args.scale = state(e).scale();
        for (Activations* array : {&args.y, &args.dy, &args.dy2, &args.dx}) {
          *array = rows_of(*array, routed, e);
        }
        frozen_norm_backward(args);
      }
      clear_unused(all.dx, layout_, routed, row_elements());
    };
  }

  bool relu_, batch_statistics_;
  RoutingLayout layout_;
  int64_t channels_, positions_;
  std::vector<Parameters> parameters_;  ///< by expert
  std::vector<double> workspace_;
  std::vector<NormState> states_;  ///< by expert
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ExpertNorm& op, LayerBuilder& builder) {
  return std::make_unique<ExpertNormLayer>(op, builder);
}

}  // namespace hardmoe::cpu
