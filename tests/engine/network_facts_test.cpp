// Networks as data against torchvision's: names, shapes, counts, operations, fresh weights.
#include "engine/network_facts.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "expect_error.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

Extent extent_of(const Network& network, int value) {
  return value_types(network)[static_cast<size_t>(value)].extent;
}

std::map<std::string, Shape> shapes_of(const Network& network) {
  std::map<std::string, Shape> shapes;
  for (const auto& spec : parameters_of(network)) {
    EXPECT_TRUE(shapes.emplace(spec.name, spec.shape).second) << spec.name << " twice";
  }
  return shapes;
}

// torchvision.models.resnet{18,34,50}(): parameters, and tensors of the state dict less
// num_batches_tracked.
TEST(ResNet, HasTorchvisionsParameters) {
  const auto network = [](int depth) { return resnet({depth, Stem::imagenet, 64, 224}, 1000); };
  EXPECT_EQ(parameter_count(network(18)), 11'689'512);
  EXPECT_EQ(parameter_count(network(34)), 21'797'672);
  EXPECT_EQ(parameter_count(network(50)), 25'557'032);
  EXPECT_EQ(parameters_of(network(18)).size(), 102U);
  EXPECT_EQ(parameters_of(network(34)).size(), 182U);
  EXPECT_EQ(parameters_of(network(50)).size(), 267U);

  const auto basic = shapes_of(network(18)), bottleneck = shapes_of(network(50));
  EXPECT_EQ(basic.at("conv1.weight"), (Shape{64, 3, 7, 7}));
  EXPECT_EQ(basic.at("bn1.running_var"), (Shape{64}));
  EXPECT_EQ(basic.at("layer1.1.conv2.weight"), (Shape{64, 64, 3, 3}));
  EXPECT_FALSE(basic.contains("layer1.0.downsample.0.weight"));
  EXPECT_EQ(basic.at("layer2.0.downsample.0.weight"), (Shape{128, 64, 1, 1}));
  EXPECT_EQ(basic.at("layer4.0.downsample.1.bias"), (Shape{512}));
  EXPECT_EQ(basic.at("fc.weight"), (Shape{1000, 512}));
  EXPECT_EQ(basic.at("fc.bias"), (Shape{1000}));
  EXPECT_EQ(shapes_of(network(34)).at("layer3.5.conv1.weight"), (Shape{256, 256, 3, 3}));
  EXPECT_EQ(bottleneck.at("layer1.0.downsample.0.weight"), (Shape{256, 64, 1, 1}));
  EXPECT_EQ(bottleneck.at("layer3.5.conv2.weight"), (Shape{256, 256, 3, 3}));
  EXPECT_EQ(bottleneck.at("layer4.2.conv3.weight"), (Shape{2048, 512, 1, 1}));
  EXPECT_EQ(bottleneck.at("fc.weight"), (Shape{1000, 2048}));
}

// He et al. 2016, table 1, counts multiply-adds of one crop: 1.8 and 3.6·10⁹; torchvision lists
// 1.81, 3.66 and 4.09, with the stride on the 3×3 convolution.
TEST(ResNet, CostsThePublishedOperations) {
  const auto multiply_adds = [](int depth) {
    return flops_per_image(resnet({depth, Stem::imagenet, 64, 224}, 1000)) / 2e9;
  };
  EXPECT_NEAR(multiply_adds(18), 1.814, 0.001);
  EXPECT_NEAR(multiply_adds(34), 3.664, 0.001);
  EXPECT_NEAR(multiply_adds(50), 4.089, 0.001);
}

TEST(ResNet, ValuesHaveThePublishedExtents) {
  const Network imagenet = resnet({50, Stem::imagenet, 64, 224}, 10);
  EXPECT_EQ(extent_of(imagenet, 1), (Extent{112, 112, 64}));
  EXPECT_EQ(extent_of(imagenet, 4), (Extent{56, 56, 64}));  // after the max pool
  EXPECT_EQ(extent_of(imagenet, imagenet.feature - 1), (Extent{7, 7, 2048}));
  EXPECT_EQ(feature_size(imagenet), 2048);
  EXPECT_EQ(logits_size(imagenet), 10);
  const Network small = resnet({18, Stem::small, 16, 32}, 10);
  EXPECT_EQ(extent_of(small, 1), (Extent{32, 32, 16}));
  EXPECT_EQ(extent_of(small, small.feature - 1), (Extent{4, 4, 128}));
  const Network odd = resnet({18, Stem::imagenet, 16, 33}, 10);  // 17, 9, 9, 5, 3, 2
  EXPECT_EQ(extent_of(odd, odd.feature - 1), (Extent{2, 2, 128}));
}

TEST(ResNet, TrunkAloneHasNoDecoder) {
  const Network trunk = resnet({18, Stem::small, 16, 32}, 0);
  EXPECT_EQ(trunk.logits, -1);
  EXPECT_EQ(logits_size(trunk), 0);
  EXPECT_EQ(feature_size(trunk), 128);
  auto with_decoder = shapes_of(resnet({18, Stem::small, 16, 32}, 10));
  with_decoder.erase("fc.weight");
  with_decoder.erase("fc.bias");
  EXPECT_EQ(shapes_of(trunk), with_decoder);
}

TEST(LinearDecoder, IsOneLayer) {
  const Network network = linear_decoder(512, 1000);
  EXPECT_EQ(network.input, InputKind::feature);
  EXPECT_EQ(network.feature, 0);
  EXPECT_EQ(feature_size(network), 512);
  EXPECT_EQ(logits_size(network), 1000);
  EXPECT_EQ(shapes_of(network),
            (std::map<std::string, Shape>{{"fc.bias", {1000}}, {"fc.weight", {1000, 512}}}));
  EXPECT_EQ(flops_per_image(network), 2.0 * 512 * 1000);
}

// Forward, gradients of weights, gradients of inputs: three products for each layer, and no more
// than a weight's where nothing below is trained.
TEST(TrainingCost, CountsTheProductsOfBothPasses) {
  Network network;
  network.extent = {6, 4, 3};
  const int x = network.append(
      {"conv", "first", {0}, {{"channels", 8}, {"kernel", 3}, {"stride", 1}, {"padding", 1}}});
  const int y = network.append(
      {"conv", "second", {x}, {{"channels", 10}, {"kernel", 1}, {"stride", 2}, {"padding", 0}}});
  network.feature = network.append({"global_avg_pool", "", {y}, {}});
  network.logits = network.append({"linear", "fc", {network.feature}, {{"channels", 7}}});
  const double first = 2.0 * 6 * 4 * 8 * 3 * 9, second = 2.0 * 3 * 2 * 10 * 8, fc = 2.0 * 10 * 7;
  EXPECT_EQ(flops_per_image(network), first + second + fc);
  const auto cost = [&](const std::vector<std::string>& frozen) {
    return training_flops_per_image(network, frozen);
  };
  EXPECT_EQ(cost({}), 2 * first + 3 * second + 3 * fc);
  EXPECT_EQ(cost({"first.*"}), first + 2 * second + 3 * fc);
  EXPECT_EQ(cost({"second.*"}), 2 * first + 2 * second + 3 * fc);
  EXPECT_EQ(cost({"first.*", "second.*"}), first + second + 2 * fc);
  EXPECT_EQ(cost({"fc.weight"}), cost({}));  // the bias still learns, and both come in one product
}

// A frozen norm in the middle lets gradients pass; its neighbours cost what they did.
TEST(TrainingCost, OfAResNetIsThreeForwardPassesLessTheImagesGradient) {
  const Network network = resnet({18, Stem::small, 8, 32}, 10);
  const double image = 2.0 * 32 * 32 * 8 * 3 * 9;
  EXPECT_EQ(training_flops_per_image(network, {}), 3 * flops_per_image(network) - image);
  EXPECT_EQ(training_flops_per_image(network, {"bn1.*"}), training_flops_per_image(network, {}));
  const double fc = 2.0 * 64 * 10;
  EXPECT_EQ(training_flops_per_image(network, {"conv1.*", "bn1.*", "layer*"}),
            flops_per_image(network) + fc);
}

TEST(Network, RefusesOperatorsThatDoNotFit) {
  Network network;
  network.extent = {5, 7, 3};
  const int x = network.append(
      {"conv", "conv", {0}, {{"channels", 8}, {"kernel", 3}, {"stride", 2}, {"padding", 1}}});
  EXPECT_EQ(extent_of(network, 1), (Extent{3, 4, 8}));
  const auto refused = [&](const Op& op, const std::vector<std::string>& words,
                           ExitStatus status = ExitStatus::failed) {
    Network longer = network;
    longer.append(op);
    expect_error([&] { value_types(longer); }, words, status);
  };
  refused({"add", "sum", {x, 0}, {}}, {"sum", "shapes"});
  refused({"max_pool", "pool", {x}, {{"kernel", 7}, {"stride", 1}, {"padding", 1}}},
          {"pool", "7×7", "3 pixels"}, ExitStatus::usage);
  refused({"linear", "fc", {x}, {{"channels", 0}}}, {"fc", "no outputs"}, ExitStatus::usage);
  refused({"linear", "fc", {x}, {}}, {"fc", "linear", "channels", "missing"});
  refused({"linear", "fc", {x}, {{"channels", 2.5}}}, {"fc", "channels", "2.5", "whole number"});
  refused({"relu", "r", {x}, {{"slope", 1}}}, {"relu", "no attribute 'slope'"});
  refused({"swish", "s", {x}, {}}, {"s", "swish", "conv", "layer_norm"});
  refused({"relu", "r", {7}, {}}, {"relu", "value 7", "not made before"});
  refused({"tag_loss", "l", {x}, {}}, {"losses"});
}

// A row of tokens is a row of its own, and a pooling brings an image's together.
TEST(Network, ValuesSayWhatARowIs) {
  Network network;
  network.extent = {6, 4, 3};
  const int tokens = network.append({"tokens", "", {0}, {}});
  const int hidden = network.append({"linear", "hidden", {tokens}, {{"channels", 10}}});
  const auto types = value_types(network);
  EXPECT_EQ(types[static_cast<size_t>(tokens)],
            (ValueType{{1, 1, 3}, Element::working, {RowKind::token, 24}}));
  EXPECT_EQ(types[static_cast<size_t>(hidden)],
            (ValueType{{1, 1, 10}, Element::float32, {RowKind::token, 24}}));
  EXPECT_EQ(types[static_cast<size_t>(hidden)].planned_rows(5), 120);
  EXPECT_EQ(flops_per_image(network), 2.0 * 24 * 3 * 10);
}

// 24 tokens, each given to 2 of 8 experts that have room for capacity times 6 of them, in multiples of
// 4 for an image: 8·4 of 48 at 0.5, all at 1.05.
TEST(Network, WhatExpertsComputeEndsAtTheirCapacity) {
  for (const auto& [capacity, answering, training] :
       {std::array{0.5, 2.0 / 3, 0.5}, std::array{1.05, 1.0, 1.0}}) {
    Network network;
    network.extent = {6, 4, 3};
    int tokens = network.append({"tokens", "", {0}, {}});
    tokens = network.append({"linear", "in", {tokens}, {{"channels", 3}}});
    int gates = network.append({"linear", "fc", {tokens}, {{"channels", 8}}});
    gates = network.append({"top_k", "top", {gates}, {{"k", 2}}});
    gates = network.append({"capacity", "room", {gates}, {{"k", 2}, {"factor", capacity}}});
    const int routing = network.append({"route", "gate", {gates}, {{"chosen", 2}}});
    int value = network.append({"dispatch", "", {tokens, routing}, {{"experts", 8}}});
    value =
        network.append({"expert_linear", "e", {value, routing}, {{"channels", 5}, {"experts", 8}}});
    network.feature = network.append({"combine", "", {value, gates, routing}, {}});
    const double in = 2.0 * 24 * 3 * 3, gate = 2.0 * 24 * 3 * 8;
    const double expert = 2.0 * 48 * 3 * 5, combine = 2.0 * 48 * 5;
    EXPECT_DOUBLE_EQ(flops_per_image(network), in + gate + answering * (expert + combine));
    // Nothing below the first weights is trained; products of two values have two gradients.
    EXPECT_DOUBLE_EQ(training_flops_per_image(network, {}),
                     2 * in + 3 * gate + training * 3 * (expert + combine));
  }
}

struct Moments {
  double mean = 0, deviation = 0, kurtosis = 0, least = 0, most = 0;
};

Moments moments(const Tensor& tensor) {
  Moments m;
  const auto values = tensor.as<float>();
  const auto n = static_cast<double>(values.size());
  for (const float v : values) {
    m.mean += double{v} / n;
    m.least = std::min(m.least, double{v});
    m.most = std::max(m.most, double{v});
  }
  double second = 0, fourth = 0;
  for (const float v : values) {
    second += std::pow(double{v} - m.mean, 2) / n;
    fourth += std::pow(double{v} - m.mean, 4) / n;
  }
  m.deviation = std::sqrt(second);
  m.kurtosis = fourth / (second * second);
  return m;
}

TEST(InitialWeights, FollowTorchvision) {
  const Network network = resnet({18, Stem::imagenet, 64, 64}, 1000);
  const StateDict weights = initial_weights(network, 1);
  for (const auto& spec : parameters_of(network)) {
    SCOPED_TRACE(spec.name);
    const Tensor& tensor = weights.at(spec.name);
    ASSERT_EQ(tensor.shape(), spec.shape);
    const Moments m = moments(tensor);
    const double error = 1 / std::sqrt(static_cast<double>(tensor.elements()));
    if (spec.shape.size() == 4) {  // normal, deviation √(2 / (outputs · window))
      const double fan_out = static_cast<double>(spec.shape[0] * spec.shape[2] * spec.shape[3]);
      const double deviation = std::sqrt(2 / fan_out);
      EXPECT_NEAR(m.mean, 0, 5 * deviation * error);
      EXPECT_NEAR(m.deviation / deviation, 1, 5 * error);
      EXPECT_NEAR(m.kurtosis, 3, 5 * 5 * error);
    } else if (spec.name.starts_with("fc.")) {  // uniform, within 1/√512
      const double bound = 1 / std::sqrt(512.0);
      EXPECT_NEAR(m.mean, 0, 5 * bound * error);
      EXPECT_NEAR(m.deviation / (bound / std::sqrt(3.0)), 1, 5 * error);
      EXPECT_GE(m.least, -bound);
      EXPECT_LE(m.most, bound);
      EXPECT_LT(m.least, -0.98 * bound);
      EXPECT_GT(m.most, 0.98 * bound);
    } else {
      const bool one = spec.name.ends_with(".weight") || spec.name.ends_with(".running_var");
      for (const float v : tensor.as<float>()) EXPECT_EQ(v, one ? 1 : 0);
    }
  }
}

TEST(InitialWeights, DependOnTheSeedAlone) {
  const Network network = resnet({18, Stem::small, 8, 32}, 10);
  const StateDict a = initial_weights(network, 1), b = initial_weights(network, 1);
  const StateDict c = initial_weights(network, 2);
  for (const auto& [name, tensor] : a) {
    EXPECT_EQ(std::memcmp(tensor.data(), b.at(name).data(), tensor.bytes()), 0) << name;
    const bool drawn = tensor.shape().size() > 1 || name == "fc.bias";
    EXPECT_EQ(std::memcmp(tensor.data(), c.at(name).data(), tensor.bytes()) != 0, drawn) << name;
  }
  // Two tensors of one shape are not one draw.
  EXPECT_NE(std::memcmp(a.at("layer1.0.conv1.weight").data(), a.at("layer1.0.conv2.weight").data(),
                        a.at("layer1.0.conv1.weight").bytes()),
            0);
}

}  // namespace
}  // namespace hardmoe
