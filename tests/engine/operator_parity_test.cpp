// Every case of the table: inference against reference_network.h, bf16 against fp32, and, where
// HARDMOE_TEST_SPEED is set, the time of a training step.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "engine/reference_network.h"

namespace hardmoe {
namespace {

class OperatorParity : public testing::TestWithParam<OperatorCase> {
 protected:
  OperatorParity()
      : engine(engine_under_test()),
        weights(case_weights(GetParam().network)),
        batch(case_batch(GetParam().network, GetParam().batch)) {}

  std::unique_ptr<Program> compile(CompileOptions options) const {
    options.batch = batch.size;
    auto program = engine->compile(GetParam().network, options);
    program->load_weights(weights, "closed form");
    return program;
  }

  /// Logits in evaluation mode.
  Doubles infer(Precision precision) const {
    Tensor logits(DType::f32, {batch.size, logits_size(GetParam().network)});
    compile({.precision = precision, .mode = Mode::infer})->infer(batch, {}, logits.as<float>());
    return Doubles(logits.as<float>().begin(), logits.as<float>().end());
  }

  /// Evaluation in double precision.
  Doubles reference(int value) const {
    const auto values = reference_forward(GetParam().network, to_double(weights), batch, false);
    return values[static_cast<size_t>(value)];
  }

  std::unique_ptr<Engine> engine;
  StateDict weights;
  Batch batch;
};

/// ‖a − b‖ / ‖b‖.
double relative_error(const Doubles& a, const Doubles& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(a[i] - b[i], 2);
    norm += std::pow(b[i], 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

TEST_P(OperatorParity, InferenceEqualsTheDefinitions) {
  EXPECT_LE(relative_error(infer(Precision::fp32), reference(GetParam().network.logits)),
            float32_bound());
}

// A rounded activation may fall on the other side of a ReLU, which moves the gradients below it by
// some percent, more on few pixels: hence many rows, room for single tensors, and less for the
// median and for the layer above all ReLUs. operator_reference_test.cpp compares kernels closely.
TEST_P(OperatorParity, Bf16FollowsFp32) {
  if (!engine->supports(Precision::bf16)) GTEST_SKIP() << "this device has no bf16";
  EXPECT_LE(relative_error(infer(Precision::bf16), infer(Precision::fp32)), 1e-2);
  batch = case_batch(GetParam().network, 16 * GetParam().batch);
  const auto exact = compile({.losses = {{LossKind::sigmoid}}});
  const auto rounded = compile({.precision = Precision::bf16, .losses = {{LossKind::sigmoid}}});
  exact->train_step(batch, 0);
  rounded->train_step(batch, 0);
  EXPECT_NEAR(rounded->take_loss() / exact->take_loss(), 1, 5e-3);
  const auto expected = to_double(exact->gradients());
  Doubles errors;
  for (const auto& [name, gradient] : to_double(rounded->gradients())) {
    errors.push_back(relative_error(gradient, expected.at(name)));
    EXPECT_LE(errors.back(), name.starts_with("fc.") ? 0.02 : 0.4) << name;
  }
  std::sort(errors.begin(), errors.end());
  EXPECT_LE(errors[errors.size() / 2], 0.15);
}

INSTANTIATE_TEST_SUITE_P(Table, OperatorParity, testing::ValuesIn(operator_cases()),
                         operator_case_name);

TEST(OperatorSpeed, PrintsATableWhereAskedFor) {
  if (std::getenv("HARDMOE_TEST_SPEED") == nullptr) GTEST_SKIP() << "HARDMOE_TEST_SPEED is not set";
  const auto engine = engine_under_test();
  fmt::print("{}\n", engine->describe());
  for (const auto& c : operator_cases()) {
    const Batch batch = case_batch(c.network, 64 * c.batch);
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      if (!engine->supports(precision)) continue;
      const auto program =
          engine->compile(c.network, {.batch = batch.size, .precision = precision});
      program->load_weights(case_weights(c.network), "closed form");
      const auto seconds_of = [&](int steps) {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < steps; ++i) program->train_step(batch, 0);
        EXPECT_TRUE(std::isfinite(program->take_loss()));  // waits for the steps
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      };
      seconds_of(3);
      fmt::print("{:36} {} {:8.3f} ms a step of {} rows\n", c.name,
                 precision == Precision::fp32 ? "fp32" : "bf16", 1e3 * seconds_of(20) / 20,
                 batch.size);
    }
  }
}

}  // namespace
}  // namespace hardmoe
