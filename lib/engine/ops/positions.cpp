#include "engine/ops/positions.h"

#include <cmath>

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

Positions Positions::from(Attributes& attributes) {
  Positions op;
  op.sincos = attributes.number("sincos", 0) != 0;
  if (!op.sincos) return op;
  op.height = attributes.size("height");
  op.width = attributes.size("width");
  op.class_tokens = static_cast<int64_t>(attributes.number("class_tokens", 0));
  return op;
}

ValueType Positions::output(const std::string& name, InputTypes inputs) const {
  const ValueType& x = inputs[0];
  if (x.rows.kind != RowKind::token || x.element == Element::int32) {
    fail("operator '{}': tokens have positions, its input has other rows", name);
  }
  const int64_t tokens = x.planned_rows(1), channels = x.extent.channels;
  if (sincos && (channels % 4 != 0 || channels < 8)) {
    fail_usage("operator '{}': sin-cos positions take a multiple of 4 channels from 8 on, found {}",
               name, channels);
  }
  if (sincos && height * width + class_tokens != tokens) {
    fail("operator '{}': {}×{} positions and {} more do not make {} tokens", name, height, width,
         class_tokens, tokens);
  }
  return x;
}

std::vector<ParameterSpec> Positions::parameters(const std::string& name, InputTypes inputs) const {
  if (sincos) return {};
  constexpr float deviation = 0.02F;  // timm's, and the paper's code's
  return {{name,
           {1, inputs[0].planned_rows(1), inputs[0].extent.channels},
           {InitialValues::Kind::normal, deviation}}};
}

void Positions::plan_forward(NodePlan& plan) const {
  Step step{"positions", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  plan.add(step);
}

/// The input's gradient is the output's, the table's its sum over images.
void Positions::plan_backward(NodePlan& plan) const {
  const BufferId dy = plan.gradient();
  if (plan.trains()) {
    Step step{"positions", Pass::backward_weights};
    step.dy = dy;
    plan.add(step);
  }
  if (plan.needs_gradient(0)) plan.leave_gradient(0, dy);
}

std::vector<float> sincos_table(const Positions& op, int64_t channels) {
  const int64_t quarter = channels / 4;
  std::vector<float> table(static_cast<size_t>(op.class_tokens * channels), 0.0F);
  for (int64_t token = 0; token < op.height * op.width; ++token) {
    for (const int64_t place : {token % op.width, token / op.width}) {
      for (const bool cosine : {false, true}) {
        for (int64_t i = 0; i < quarter; ++i) {
          const double part = static_cast<double>(i) / static_cast<double>(quarter - 1);
          const double angle = static_cast<double>(place) * std::pow(10000.0, -part);
          table.push_back(static_cast<float>(cosine ? std::cos(angle) : std::sin(angle)));
        }
      }
    }
  }
  return table;
}

}  // namespace hardmoe
