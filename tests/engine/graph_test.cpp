// Fusion and order, against counts worked out from the architectures of He et al. 2016.
#include "engine/graph.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/operator_cases.h"
#include "expect_error.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

struct Counts {
  int convs = 0, norms = 0, relus = 0, residuals = 0, max_pools = 0, mean_pools = 0, linears = 0;
  bool operator==(const Counts&) const = default;
};

const BatchNorm* norm_of(const Node& node) { return std::get_if<BatchNorm>(&node.op); }
bool has_relu(const Node& node) { return norm_of(node) != nullptr && norm_of(node)->relu; }
bool has_residual(const Node& node) { return norm_of(node) != nullptr && node.inputs.size() > 1; }

Counts count(const Graph& graph) {
  Counts counts;
  for (const Node& node : graph.nodes) {
    counts.convs += std::holds_alternative<Conv>(node.op);
    counts.norms += norm_of(node) != nullptr;
    counts.relus += has_relu(node);
    counts.residuals += has_residual(node);
    counts.max_pools += std::holds_alternative<MaxPool>(node.op);
    counts.mean_pools += std::holds_alternative<GlobalAvgPool>(node.op);
    counts.linears += std::holds_alternative<Linear>(node.op);
  }
  return counts;
}

Graph for_inference(const Network& network) { return make_graph(network, {.mode = Mode::infer}); }

/// Values are made before they are read, each by one node, and `readers` says by whom.
void expect_runnable(const Graph& graph) {
  std::vector<bool> made(graph.types.size(), false);
  std::vector<std::vector<int>> readers(graph.types.size());
  made[0] = true;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    for (const int value : node.inputs) {
      EXPECT_TRUE(made[static_cast<size_t>(value)]) << "node " << i << " reads value " << value;
      readers[static_cast<size_t>(value)].push_back(static_cast<int>(i));
    }
    if (node.output < 0) continue;  // a loss
    EXPECT_FALSE(made[static_cast<size_t>(node.output)]) << "value " << node.output << " twice";
    made[static_cast<size_t>(node.output)] = true;
  }
  EXPECT_EQ(graph.readers, readers);
  for (const int result : {graph.network.feature, graph.network.logits}) {
    EXPECT_TRUE(result < 0 || made[static_cast<size_t>(result)]);
  }
}

// A basic block has 2 convolutions, a bottleneck 3, a stage that changes shape one more in its
// shortcut (in ResNet-50 also the first). Each convolution has its norm, each block one norm with
// the add, and all norms have a ReLU but those of shortcuts and of nothing else.
TEST(Graph, FusesResNets) {
  const auto fused = [](int depth, Stem stem) {
    const Network network = resnet({depth, stem, 16, 64}, 10);
    const Graph result = for_inference(network);
    expect_runnable(result);
    return count(result);
  };
  EXPECT_EQ(fused(18, Stem::small), (Counts{20, 20, 17, 8, 0, 1, 1}));
  EXPECT_EQ(fused(18, Stem::imagenet), (Counts{20, 20, 17, 8, 1, 1, 1}));
  EXPECT_EQ(fused(34, Stem::small), (Counts{36, 36, 33, 16, 0, 1, 1}));
  EXPECT_EQ(fused(50, Stem::small), (Counts{53, 53, 49, 16, 0, 1, 1}));
  EXPECT_EQ(fused(50, Stem::imagenet), (Counts{53, 53, 49, 16, 1, 1, 1}));
}

TEST(Graph, KeepsTheParametersOfWhatItFuses) {
  const Graph graph = for_inference(resnet({18, Stem::small, 16, 32}, 10));
  const auto named = [&](const char* name) {
    return std::find_if(graph.nodes.begin(), graph.nodes.end(),
                        [&](const Node& n) { return n.name == name; });
  };
  const auto node = named("layer2.0.bn2");
  ASSERT_NE(node, graph.nodes.end());
  EXPECT_TRUE(has_relu(*node));
  // The shortcut is made after bn2 in the network; its norm must run first.
  const auto shortcut = named("layer2.0.downsample.1");
  ASSERT_LT(shortcut, node);
  ASSERT_TRUE(has_residual(*node));
  EXPECT_EQ(node->inputs[1], shortcut->output);
  EXPECT_FALSE(has_relu(*shortcut));
}

TEST(Graph, EveryCaseOfTheTableIsRunnable) {
  for (const auto& c : operator_cases()) {
    SCOPED_TRACE(c.name);
    expect_runnable(for_inference(c.network));
    expect_runnable(make_graph(c.network, {}));
  }
}

// A norm whose output somebody else reads too must stay as it is.
TEST(Graph, DoesNotFuseAValueReadTwice) {
  CaseBuilder build({5, 7, 3});
  const int y = build.norm(build.conv(0, "conv", 8, 3), "norm");
  const int z = build.add(build.norm(y, "next"), y);
  const Graph graph = for_inference(build.finish("", 1, build.relu(z)).network);
  expect_runnable(graph);
  ASSERT_EQ(graph.nodes.size(), 5U);  // and the pooling and linear layer
  EXPECT_EQ(graph.nodes[1].output, y);
  EXPECT_FALSE(has_relu(graph.nodes[1]));
  EXPECT_EQ(graph.nodes[2].inputs[1], y);
  EXPECT_TRUE(has_relu(graph.nodes[2]));
}

TEST(Graph, LeavesWhatHasNoNormToJoinForItself) {
  const auto kinds = [](const auto& body) {
    CaseBuilder build({5, 7, 3});
    const int x = body(build);
    std::vector<std::string> types;
    for (const Node& node : for_inference(build.finish("", 1, x).network).nodes) {
      types.push_back(std::visit([](const auto& op) { return op.type; }, node.op));
    }
    types.resize(types.size() - 2);  // the pooling and the linear layer
    return types;
  };
  using Types = std::vector<std::string>;
  EXPECT_EQ(kinds([](CaseBuilder& b) { return b.relu(b.conv(0, "c", 8, 3)); }),
            (Types{"conv", "relu"}));
  EXPECT_EQ(kinds([](CaseBuilder& b) { return b.relu(b.relu(b.conv_norm(0, "c", 8, 3))); }),
            (Types{"conv", "batch_norm", "relu"}));
  EXPECT_EQ(kinds([](CaseBuilder& b) {
              const int y = b.conv(0, "c", 8, 3);
              return b.add(y, y);
            }),
            (Types{"conv", "add"}));
  EXPECT_EQ(kinds([](CaseBuilder& b) {  // the ReLU comes before adding
              const int y = b.relu(b.conv_norm(0, "c", 8, 3));
              return b.add(b.relu(b.conv_norm(y, "d", 8, 3)), y);
            }),
            (Types{"conv", "batch_norm", "conv", "batch_norm", "add"}));
  EXPECT_EQ(kinds([](CaseBuilder& b) {  // two residuals
              const int y = b.relu(b.conv_norm(0, "c", 8, 3));
              return b.add(b.add(b.conv_norm(y, "d", 8, 3), y), y);
            }),
            (Types{"conv", "batch_norm", "conv", "batch_norm", "add"}));
}

// What is read from outside is not fused away.
TEST(Graph, KeepsResultsThatANormWouldTakeIn) {
  CaseBuilder build({5, 7, 3});
  const int x = build.norm(build.conv(0, "conv", 8, 3), "norm");
  build.network = build.finish("", 1, build.relu(x)).network;
  EXPECT_EQ(for_inference(build.network).nodes.size(), 4U);
}

TEST(Graph, RefusesWhatCannotBeRunOrSaved) {
  const auto refused = [](const std::vector<std::string>& words, const CompileOptions& options,
                          const auto& change) {
    CaseBuilder build({5, 7, 3});
    Network network = build.finish("", 1, build.conv_norm(0, "c", 8, 3)).network;
    change(network);
    expect_error([&] { make_graph(network, options); }, words);
  };
  const auto as_it_is = [](Network&) {};
  refused({"two parameters", "c.norm.weight"}, {}, [](Network& n) { n.ops[0].name = "c.norm"; });
  refused({"c.norm", "takes 1 values, found 2"}, {},
          [](Network& n) { n.ops[1].inputs.push_back(0); });
  refused({"takes 1 values, found 0"}, {}, [](Network& n) { n.ops[1].inputs.clear(); });
  refused({"no value 9"}, {}, [](Network& n) { n.logits = 9; });
  refused({"stride 0"}, {}, [](Network& n) { n.ops[0].attributes["stride"] = 0; });
  refused({"padding 3"}, {}, [](Network& n) { n.ops[0].attributes["padding"] = 3; });
  refused({"without losses"}, {.losses = {}}, as_it_is);
  refused({"loss 'far'", "value 70"}, {.losses = {{LossKind::softmax, 0, 1, 70, "far"}}}, as_it_is);
}

TEST(Graph, KnowsWhatFrozenParametersLeaveToTrain) {
  const Network network = resnet({18, Stem::small, 16, 32}, 10);
  const auto trained = [&](const std::vector<std::string>& frozen) {
    const Graph graph = make_graph(network, {.frozen = frozen});
    std::vector<std::string> names;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.trained_nodes[i]) names.push_back(graph.nodes[i].name);
    }
    return names;
  };
  EXPECT_EQ(trained({}).size(), 41U);
  EXPECT_EQ(trained({"conv1.*", "bn1.*", "layer*"}), (std::vector<std::string>{"fc"}));
  EXPECT_EQ(trained({"*.weight", "layer*.bias", "bn1.bias"}), (std::vector<std::string>{"fc"}));
  expect_error([&] { trained({"*"}); }, {"freeze", "nothing is left"}, ExitStatus::usage);
  expect_error([&] { trained({"layer5.*"}); }, {"freeze", "layer5.*", "conv1.weight", "fc.bias"},
               ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
