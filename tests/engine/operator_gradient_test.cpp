// Every case of the table: the loss, and the gradient of every learned parameter, against central
// differences of the loss that reference_network.h computes in double precision. Differences of a
// float32 forward pass would drown in rounding, or cross ReLUs' kinks if the step were larger.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "engine/reference_network.h"

namespace hardmoe {
namespace {

constexpr double step = 1e-6;
constexpr float smoothing = 0.125F;
constexpr int coordinates = 3;  // of each tensor, beside one direction through all of it

class OperatorGradient : public testing::TestWithParam<OperatorCase> {};

struct Losses {
  double softmax, sigmoid;
};

Losses losses(const OperatorCase& c, const ReferenceWeights& weights, const Batch& batch) {
  const auto values = reference_forward(c.network, weights, batch, true);
  const Doubles& logits = values[static_cast<size_t>(c.network.logits)];
  return {reference_loss(LossKind::softmax, double{smoothing}, logits, batch),
          reference_loss(LossKind::sigmoid, double{smoothing}, logits, batch)};
}

/// The first batch that leaves no ReLU's input so near zero that rounding decides its side, and no two
/// of a gate's values so near that it decides who is chosen.
Batch batch_away_from_kinks(const OperatorCase& c, const ReferenceWeights& weights) {
  for (uint64_t stream = 0;; ++stream) {
    Batch batch = case_batch(c.network, c.batch, stream);
    const auto values = reference_forward(c.network, weights, batch, true);
    double nearest = 1;
    for (const Op& op : c.network.ops) {
      const auto input = static_cast<size_t>(op.inputs[0]);
      const auto experts = value_types(c.network)[input].extent.channels;
      nearest = std::min(nearest, nearest_choices(op, values[input], static_cast<size_t>(experts)));
      if (op.type != "relu") continue;
      for (const double value : values[static_cast<size_t>(op.inputs[0])]) {
        // Exactly 0 is what another ReLU cut off.
        if (value != 0) nearest = std::min(nearest, std::abs(value));
      }
    }
    if (nearest > 5e-6) return batch;
  }
}

/// Change of the losses along `direction` of one parameter.
Losses difference(const OperatorCase& c, ReferenceWeights& weights, const Batch& batch,
                  Doubles& parameter, const Doubles& direction) {
  const Doubles before = parameter;
  for (size_t i = 0; i < parameter.size(); ++i) parameter[i] = before[i] + step * direction[i];
  const Losses ahead = losses(c, weights, batch);
  for (size_t i = 0; i < parameter.size(); ++i) parameter[i] = before[i] - step * direction[i];
  const Losses behind = losses(c, weights, batch);
  parameter = before;
  return {(ahead.softmax - behind.softmax) / (2 * step),
          (ahead.sigmoid - behind.sigmoid) / (2 * step)};
}

TEST_P(OperatorGradient, EqualsCentralDifferences) {
  const OperatorCase& c = GetParam();
  const StateDict stored = case_weights(c.network);
  ReferenceWeights weights = to_double(stored);
  const Batch batch = batch_away_from_kinks(c, weights);
  const Losses expected = losses(c, weights, batch);

  const auto engine = engine_under_test();
  const auto gradients = [&](LossKind loss, double expected_loss) {
    const auto program =
        engine->compile(c.network, {.batch = c.batch, .losses = {{loss, smoothing}}});
    program->load_weights(stored, "closed form");
    program->train_step(batch, 0);
    EXPECT_NEAR(program->take_loss(), expected_loss, 1e-5 * (expected_loss + 0.1));
    return to_double(program->gradients());
  };
  const ReferenceWeights softmax = gradients(LossKind::softmax, expected.softmax);
  const ReferenceWeights sigmoid = gradients(LossKind::sigmoid, expected.sigmoid);

  Random random(3, RandomUse::test);
  for (const auto& spec : parameters_of(c.network)) {
    if (!spec.learned) continue;
    Doubles& parameter = weights.at(spec.name);
    const size_t size = parameter.size();
    for (int probe = 0; probe <= coordinates; ++probe) {
      Doubles direction(size);
      if (probe < coordinates) {
        direction[random.below(size)] = 1;
      } else {
        for (double& d : direction)
          d = double{random.normal()} / std::sqrt(static_cast<double>(size));
      }
      const Losses slopes = difference(c, weights, batch, parameter, direction);
      const auto compare = [&](const ReferenceWeights& found, double slope, const char* loss) {
        const Doubles& gradient = found.at(spec.name);
        double along = 0, squares = 0;
        for (size_t i = 0; i < size; ++i) {
          along += gradient[i] * direction[i];
          squares += gradient[i] * gradient[i];
        }
        const double typical = std::sqrt(squares / static_cast<double>(size));
        const double error = std::abs(along - slope) / (typical + std::abs(slope) + 1e-4);
        EXPECT_LE(error, 1e-4) << spec.name << ", " << loss << ": " << along << " against "
                               << slope;
      };
      compare(softmax, slopes.softmax, "softmax");
      compare(sigmoid, slopes.sigmoid, "sigmoid");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, OperatorGradient, testing::ValuesIn(operator_cases()),
                         operator_case_name);

}  // namespace
}  // namespace hardmoe
