// Whole networks against PyTorch (tests/files/README.md): evaluation, loss, gradients, running
// statistics, and twenty training steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "nn/resnet.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// ‖a − b‖ / ‖b‖ over the leading elements that the reference stores.
double relative_error(const Tensor& found, const Tensor& reference) {
  const auto a = found.as<float>();
  const auto b = reference.as<float>();
  EXPECT_GE(a.size(), b.size());
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

double norm_of(const Tensor& tensor) {
  double norm = 0;
  for (const float v : tensor.as<float>()) norm += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(norm);
}

double cosine(const Tensor& found, const Tensor& reference) {
  const auto a = found.as<float>();
  const auto b = reference.as<float>();
  double product = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    product += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return product / std::sqrt(aa * bb);
}

struct Case {
  const char* file;
  ModelConfig model;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.file; }

class NetworkReference : public testing::TestWithParam<Case> {
 protected:
  NetworkReference()
      : reference(load_safetensors(test_file(GetParam().file))),
        network(resnet(GetParam().model, 10)) {
    for (const auto& spec : parameters_of(network)) {
      weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
    }
  }

  /// `size` stored images from `first` on, the first again after the last.
  Batch batch(int64_t first, int64_t size) const {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < size; ++i) {
      rows.push_back((first + i) % reference.at("images").size(0));
    }
    return batch(rows);
  }

  Batch batch(const std::vector<int64_t>& rows) const {
    const Tensor& images = reference.at("images");
    const auto ptr = reference.at("tag_ptr").as<int32_t>();
    const auto ids = reference.at("tag_ids").as<int32_t>();
    const int64_t pixels = images.size(1) * images.size(2) * 3;
    Batch result;
    result.size = static_cast<int64_t>(rows.size());
    result.input = Tensor(DType::u8, {result.size, images.size(1), images.size(2), 3});
    auto* pixel = result.input.as<uint8_t>().data();
    for (const int64_t i : rows) {
      const auto row = static_cast<size_t>(i);
      pixel = std::copy_n(images.as<uint8_t>().data() + i * pixels, pixels, pixel);
      result.tag_ids.insert(result.tag_ids.end(), ids.begin() + ptr[row],
                            ids.begin() + ptr[row + 1]);
      result.tag_ptr.push_back(static_cast<int32_t>(result.tag_ids.size()));
    }
    return result;
  }

  std::unique_ptr<Program> compile(CompileOptions options) const {
    auto program = engine_under_test()->compile(network, options);
    program->load_weights(weights, "closed form");
    return program;
  }

  void expect_near(const Tensor& found, const std::string& name, double tolerance) const {
    EXPECT_LE(relative_error(found, reference.at(name)), tolerance) << name;
  }

  StateDict reference;
  Network network;
  StateDict weights;
};

TEST_P(NetworkReference, EvaluationEqualsPyTorch) {
  CompileOptions options{.batch = 4, .mode = Mode::infer};
  const auto program = compile(options);
  Tensor features(DType::f32, {4, feature_size(network)});
  Tensor logits(DType::f32, {4, 10});
  program->infer(batch(0, 4), features.as<float>(), logits.as<float>());
  expect_near(features, "eval.features", 1e-5);
  expect_near(logits, "eval.logits", 1e-5);
}

TEST_P(NetworkReference, PartialBatchGivesTheSameRows) {
  const auto whole = compile({.batch = 4, .mode = Mode::infer});
  Tensor features(DType::f32, {4, feature_size(network)});
  whole->infer(batch(0, 4), features.as<float>(), {});
  Batch part = batch(0, 4);
  part.size = 3;
  Tensor partial(DType::f32, {3, feature_size(network)});
  whole->infer(part, partial.as<float>(), {});
  for (size_t i = 0; i < partial.as<float>().size(); ++i) {
    EXPECT_EQ(partial.as<float>()[i], features.as<float>()[i]);
  }
}

// A ReLU whose input is within rounding of zero may fall on either side, which moves every gradient
// below it by some 1/√elements. Other orders of the images round differently, and so do first
// weights a few units of rounding larger, whose scale batch norm takes out again: in at least one
// of these cases all gradients must agree to rounding.
TEST_P(NetworkReference, OneStepEqualsPyTorch) {
  double best = 1;
  std::vector<int64_t> order = {0, 1, 2, 3};
  const Tensor first = weights.at("conv1.weight").clone();
  int attempt = 0;
  do {
    const float scale = 1 + static_cast<float>(attempt) * 0x1p-22F;
    for (size_t i = 0; i < first.as<float>().size(); ++i) {
      weights.at("conv1.weight").as<float>()[i] = first.as<float>()[i] * scale;
    }
    const auto program = compile({.batch = 4});
    program->train_step(batch(order), 0);
    EXPECT_NEAR(program->take_loss(), reference.at("train.loss").as<float>()[0], 1e-5);
    const StateDict gradients = program->gradients();
    const StateDict after = program->weights();
    double worst = 0;
    for (const auto& spec : parameters_of(network)) {
      if (!spec.learned) {
        if (attempt == 0) expect_near(after.at(spec.name), "after." + spec.name, float32_bound());
        continue;
      }
      const Tensor& found = gradients.at(spec.name);
      const double norm = reference.at("grad_norm." + spec.name).as<float>()[0];
      worst = std::max(worst, std::fabs(norm_of(found) / norm - 1));
      if (reference.contains("grad." + spec.name)) {
        worst = std::max(worst, relative_error(found, reference.at("grad." + spec.name)));
      }
    }
    EXPECT_LE(worst, 1e-2);
    best = std::min(best, worst);
    ++attempt;
  } while (best > 2e-5 && std::next_permutation(order.begin(), order.end()));
  EXPECT_LE(best, 2e-5);
}

TEST_P(NetworkReference, LabelSmoothingEqualsPyTorch) {
  const auto program = compile({.batch = 4, .losses = {{LossKind::softmax, 0.1F}}});
  program->train_step(batch(0, 4), 0);
  EXPECT_NEAR(program->take_loss(), reference.at("train.loss_smoothing_0.1").as<float>()[0], 1e-5);
}

TEST_P(NetworkReference, Bf16FollowsFp32) {
  if (!engine_under_test()->supports(Precision::bf16)) GTEST_SKIP() << "this device has no bf16";
  const auto program = compile({.batch = 4, .precision = Precision::bf16});
  program->train_step(batch(0, 4), 0);
  EXPECT_NEAR(program->take_loss(), reference.at("train.loss").as<float>()[0], 0.03);
  const StateDict gradients = program->gradients();
  for (const char* name : {"fc.weight", "fc.bias"}) {
    expect_near(gradients.at(name), std::string("grad.") + name, 0.05);
  }
  // Through the many ReLUs below the last stage four images leave little but noise.
  for (const auto& [name, tensor] : gradients) {
    if (!name.starts_with("layer4.") || !reference.contains("grad." + name)) continue;
    EXPECT_GE(cosine(tensor, reference.at("grad." + name)), 0.75) << name;
  }
}

TEST_P(NetworkReference, TwentyStepsEqualPyTorch) {
  if (!reference.contains("sgd.losses")) GTEST_SKIP() << "no training stored for this network";
  for (const bool sgd : {true, false}) {
    OptimizerSpec optimizer;
    optimizer.kind = sgd ? OptimizerKind::sgd : OptimizerKind::adamw;
    optimizer.weight_decay = sgd ? 5e-4F : 0.01F;
    optimizer.ema_decay = 0.9F;
    const std::string prefix = sgd ? "sgd." : "adamw.";
    const auto program = compile({.batch = 8, .optimizer = optimizer});
    const auto losses = reference.at(prefix + "losses").as<float>();
    const auto compare = [&](const StateDict& found, const std::string& kind, double tolerance) {
      int compared = 0;
      for (const auto& [name, tensor] : found) {
        if (!reference.contains(prefix + kind + name)) continue;
        expect_near(tensor, prefix + kind + name, tolerance);
        ++compared;
      }
      EXPECT_GT(compared, 0) << kind;
    };
    for (int step = 0; step < 20; ++step) {
      program->train_step(batch(8 * step, 8), sgd ? 0.01F : 1e-3F);
      const double loss = losses[static_cast<size_t>(step)];
      const double tolerance = step < 3 ? 1e-3 : 3e-2;  // rounding grows from step to step
      EXPECT_NEAR(program->take_loss() / loss, 1, tolerance) << prefix << " step " << step;
      if (step == 2) compare(program->weights(), "after3.", sgd ? 1e-3 : 1e-2);
    }
    compare(program->weights(), "after20.", 6e-2);
    compare(program->averaged_weights(), "ema.", 6e-2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, NetworkReference,
    testing::Values(Case{"resnet18_small_w16.safetensors", {18, Stem::small, 16, 32}},
                    Case{"resnet18_imagenet_w16.safetensors", {18, Stem::imagenet, 16, 64}},
                    Case{"resnet50_small_w16.safetensors", {50, Stem::small, 16, 32}}),
    [](const auto& c) {
      return std::string(c.param.file).substr(0, std::string(c.param.file).find('.'));
    });

}  // namespace
}  // namespace hardmoe
