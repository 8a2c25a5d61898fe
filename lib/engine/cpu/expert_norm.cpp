#include "engine/ops/expert_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/cpu/layer.h"
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
        state_(static_cast<size_t>(op.experts * 5 * channels_)) {
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
  /// What an expert's forward pass leaves for its backward pass, by channel.
  struct State {
    float *mean, *variance, *inverse, *scale, *shift;
  };

  State state(int64_t expert) {
    float* first = state_.data() + expert * 5 * channels_;
    return {first, first + channels_, first + 2 * channels_, first + 3 * channels_,
            first + 4 * channels_};
  }
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
        find_coefficients(e, rows_of(x, routed, e), rows, arrays);
        norm_apply(rows_of(x, routed, e), rows_of(residual, routed, e), state(e).scale,
                   state(e).shift, relu_, rows, channels_, rows_of(y, routed, e));
      }
      clear_unused(y, layout_, routed, row_elements());
    };
  }

  /// scale and shift of norm_apply, from the rows' statistics or the running ones.
  void find_coefficients(int64_t expert, Activations x, int64_t rows, const Arrays& arrays) {
    const State s = state(expert);
    const Parameters& p = parameters_[static_cast<size_t>(expert)];
    float* running_mean = arrays.weights(p.running_mean);
    float* running_var = arrays.weights(p.running_var);
    const float *mean = running_mean, *variance = running_var;
    if (batch_statistics_) {
      norm_statistics(x, rows, channels_, s.mean, s.variance, workspace_);
      mean = s.mean;
      variance = s.variance;
      const float unbias =
          static_cast<float>(rows) / static_cast<float>(std::max<int64_t>(rows - 1, 1));
      for (int64_t c = 0; c < channels_; ++c) {
        running_mean[c] += batch_norm_momentum * (mean[c] - running_mean[c]);
        running_var[c] += batch_norm_momentum * (variance[c] * unbias - running_var[c]);
      }
    }
    const float* gamma = arrays.weights(p.weight);
    const float* beta = arrays.weights(p.bias);
    for (int64_t c = 0; c < channels_; ++c) {
      s.inverse[c] = 1 / std::sqrt(variance[c] + batch_norm_epsilon);
      s.scale[c] = gamma[c] * s.inverse[c];
      s.shift[c] = beta[c] - mean[c] * s.scale[c];
    }
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
        const State s = state(e);
        args.mean = s.mean;
        args.inverse_deviation = s.inverse;
        args.scale = s.scale;
        args.shift = s.shift;
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
        args.scale = state(e).scale;
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
  std::vector<float> state_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ExpertNorm& op, LayerBuilder& builder) {
  return std::make_unique<ExpertNormLayer>(op, builder);
}

}  // namespace hardmoe::cpu
