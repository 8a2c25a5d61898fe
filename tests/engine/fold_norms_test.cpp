// Batch norms that become a part of convolutions: which do, and that the numbers stay.
#include "engine/fold_norms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/operator_cases.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

Graph folded(const Network& network) {
  return make_graph(network, {.mode = Mode::infer}, /*folds=*/true);
}

template <class Op>
int64_t count(const Graph& graph) {
  return std::ranges::count_if(
      graph.nodes, [](const Node& node) { return std::holds_alternative<Op>(node.op); });
}

const Conv& convolution(const Graph& graph, const std::string& name) {
  const auto node = std::ranges::find(graph.nodes, name, &Node::name);
  EXPECT_NE(node, graph.nodes.end()) << name;
  return std::get<Conv>(node->op);
}

TEST(FoldNorms, LeavesNoNormInAResNet) {
  for (const int depth : {18, 50}) {
    const Graph graph = folded(resnet({depth, Stem::imagenet, 16, 64}, 10));
    EXPECT_EQ(count<BatchNorm>(graph), 0);
    EXPECT_EQ(count<MaxPool>(graph), 0);
    EXPECT_EQ(count<Conv>(graph), depth == 18 ? 20 : 53);
    EXPECT_TRUE(convolution(graph, "conv1").norm->pool.has_value());
    EXPECT_EQ(convolution(graph, "layer1.0.conv2").norm->name, "layer1.0.bn2");
    EXPECT_TRUE(convolution(graph, "layer1.0.conv2").norm->relu);
    EXPECT_FALSE(convolution(graph, "layer2.0.downsample.0").norm->relu);
  }
}

TEST(FoldNorms, LeavesWhatIsReadTwiceOrAResult) {
  CaseBuilder twice({8, 8, 3});
  const int conv = twice.conv(0, "conv", 16, 3);
  const int norm = twice.norm(conv, "norm");
  const Graph read_twice = folded(twice.finish("", 1, twice.add(norm, conv)).network);
  EXPECT_EQ(count<BatchNorm>(read_twice), 1);

  CaseBuilder result({8, 8, 3});
  const int cut = result.conv(0, "conv", 16, 3);
  result.norm(cut, "norm");
  result.network.feature = cut;
  EXPECT_EQ(count<BatchNorm>(folded(result.network)), 1);
}

TEST(FoldNorms, LeavesTrainingAsItIs) {
  const Network network = resnet({18, Stem::imagenet, 16, 64}, 10);
  EXPECT_EQ(count<BatchNorm>(make_graph(network, {}, /*folds=*/true)), 20);
}

/// Adds a reader, whose result nobody wants, to each convolution's output: nothing is folded then.
Network unfolded(Network network) {
  const size_t ops = network.ops.size();
  for (size_t i = 0; i < ops; ++i) {
    if (network.ops[i].type != "conv") continue;
    network.append({"relu", "", {static_cast<int>(i) + 1}, {}});
  }
  return network;
}

std::vector<float> features_of(const Network& network, int64_t batch, Precision precision) {
  const auto engine = make_engine("cpu");
  const auto program =
      engine->compile(network, {.batch = batch, .precision = precision, .mode = Mode::infer});
  program->load_weights(case_weights(network), "closed form");
  program->send(case_batch(network, batch, 3));
  std::vector<float> features(static_cast<size_t>(batch * feature_size(network)));
  program->receive(features, {});
  return features;
}

void expect_the_same_features(const Network& network, int64_t batch) {
  ASSERT_GT(count<BatchNorm>(folded(unfolded(network))), 0);
  const auto engine = make_engine("cpu");
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    if (!engine->supports(precision)) continue;
    const auto expected = features_of(unfolded(network), batch, precision);
    const auto found = features_of(network, batch, precision);
    float largest = 0, error = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      error = std::max(error, std::abs(found[i] - expected[i]));
    }
    EXPECT_GT(largest, 0);
    EXPECT_LT(error / largest, precision == Precision::bf16 ? 3e-2 : 1e-5);
  }
}

TEST(FoldNorms, GivesTheSameFeatures) {
  for (const int depth : {18, 50}) {
    for (const Stem stem : {Stem::small, Stem::imagenet}) {
      for (const int64_t batch : {1, 7, 12}) {
        SCOPED_TRACE(fmt::format("ResNet-{}, stem {}, batch {}", depth,
                                 stem == Stem::small ? "small" : "imagenet", batch));
        expect_the_same_features(resnet({depth, stem, 16, 33}, 0), batch);
      }
    }
  }
}

// The residual may be what the convolution itself reads, which its output must not overwrite.
TEST(FoldNorms, AddsTheConvolutionsOwnInput) {
  CaseBuilder build({8, 8, 3});
  const int stem = build.relu(build.conv_norm(0, "stem", 16, 3));
  const int sum = build.relu(build.add(build.conv_norm(stem, "next", 16, 3), stem));
  build.network.feature = build.mean(sum);
  expect_the_same_features(build.network, 5);
}

// A pooling behind an add is not the convolution's.
TEST(FoldNorms, KeepsAPoolingBehindAnAdd) {
  CaseBuilder build({8, 8, 3});
  const int stem = build.relu(build.conv_norm(0, "stem", 16, 3));
  const int block = build.block(stem, "block");
  build.network.feature = build.mean(build.max_pool(block, 3, 2, 1));
  EXPECT_EQ(count<MaxPool>(folded(build.network)), 1);
  expect_the_same_features(build.network, 5);
}

}  // namespace
}  // namespace hardmoe
