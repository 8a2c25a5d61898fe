// Fusion and order, against counts worked out from the architectures of He et al. 2016.
#include "engine/lowering.h"

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

Counts count(const Lowered& lowered) {
  Counts counts;
  for (const Node& node : lowered.nodes) {
    counts.convs += node.kind == NodeKind::conv;
    counts.norms += node.kind == NodeKind::norm;
    counts.relus += node.relu;
    counts.residuals += node.residual >= 0;
    counts.max_pools += node.kind == NodeKind::max_pool;
    counts.mean_pools += node.kind == NodeKind::global_avg_pool;
    counts.linears += node.kind == NodeKind::linear;
  }
  return counts;
}

/// Values are made before they are read, each by one node, and `readers` says by whom.
void expect_runnable(const Network& network, const Lowered& lowered) {
  std::vector<bool> made(network.values.size(), false);
  std::vector<std::vector<int>> readers(network.values.size());
  made[0] = true;
  for (size_t i = 0; i < lowered.nodes.size(); ++i) {
    const Node& node = lowered.nodes[i];
    for (const int value : {node.input, node.residual}) {
      if (value < 0) continue;
      EXPECT_TRUE(made[static_cast<size_t>(value)]) << "node " << i << " reads value " << value;
      readers[static_cast<size_t>(value)].push_back(static_cast<int>(i));
    }
    EXPECT_FALSE(made[static_cast<size_t>(node.output)]) << "value " << node.output << " twice";
    made[static_cast<size_t>(node.output)] = true;
  }
  EXPECT_EQ(lowered.readers, readers);
  for (const int result : {network.feature, network.logits}) {
    EXPECT_TRUE(result < 0 || made[static_cast<size_t>(result)]);
  }
}

// A basic block has 2 convolutions, a bottleneck 3, a stage that changes shape one more in its
// shortcut (in ResNet-50 also the first). Each convolution has its norm, each block one norm with
// the add, and all norms have a ReLU but those of shortcuts and of nothing else.
TEST(Lowering, FusesResNets) {
  const auto lowered = [](int depth, Stem stem) {
    const Network network = resnet({depth, stem, 16, 64}, 10);
    const Lowered result = lower(network);
    expect_runnable(network, result);
    return count(result);
  };
  EXPECT_EQ(lowered(18, Stem::small), (Counts{20, 20, 17, 8, 0, 1, 1}));
  EXPECT_EQ(lowered(18, Stem::imagenet), (Counts{20, 20, 17, 8, 1, 1, 1}));
  EXPECT_EQ(lowered(34, Stem::small), (Counts{36, 36, 33, 16, 0, 1, 1}));
  EXPECT_EQ(lowered(50, Stem::small), (Counts{53, 53, 49, 16, 0, 1, 1}));
  EXPECT_EQ(lowered(50, Stem::imagenet), (Counts{53, 53, 49, 16, 1, 1, 1}));
}

TEST(Lowering, KeepsTheParametersOfWhatItFuses) {
  const Lowered lowered = lower(resnet({18, Stem::small, 16, 32}, 10));
  const auto node = std::find_if(lowered.nodes.begin(), lowered.nodes.end(),
                                 [](const Node& n) { return n.op.name == "layer2.0.bn2"; });
  ASSERT_NE(node, lowered.nodes.end());
  EXPECT_TRUE(node->relu);
  // The shortcut is made after bn2 in the network; its norm must run first.
  const auto shortcut = std::find_if(lowered.nodes.begin(), lowered.nodes.end(), [](const Node& n) {
    return n.op.name == "layer2.0.downsample.1";
  });
  ASSERT_LT(shortcut, node);
  EXPECT_EQ(node->residual, shortcut->output);
  EXPECT_FALSE(shortcut->relu);
}

TEST(Lowering, EveryCaseOfTheTableIsRunnable) {
  for (const auto& c : operator_cases()) {
    SCOPED_TRACE(c.name);
    expect_runnable(c.network, lower(c.network));
  }
}

// A norm whose output somebody else reads too must stay as it is.
TEST(Lowering, DoesNotFuseAValueReadTwice) {
  CaseBuilder build({5, 7, 3});
  const int y = build.norm(build.conv(0, "conv", 8, 3), "norm");
  const int z = build.add(build.norm(y, "next"), y);
  build.network.feature = build.relu(z);
  const Lowered lowered = lower(build.network);
  expect_runnable(build.network, lowered);
  ASSERT_EQ(lowered.nodes.size(), 3U);
  EXPECT_EQ(lowered.nodes[1].output, y);
  EXPECT_FALSE(lowered.nodes[1].relu);
  EXPECT_EQ(lowered.nodes[2].residual, y);
  EXPECT_TRUE(lowered.nodes[2].relu);
}

TEST(Lowering, RefusesWhatHasNoNormToJoin) {
  const auto refused = [](const std::string& word, const auto& body) {
    CaseBuilder build({5, 7, 3});
    body(build);
    expect_error([&] { lower(build.network); }, {word});
  };
  refused("does not follow a batch norm", [](CaseBuilder& b) { b.relu(b.conv(0, "c", 8, 3)); });
  refused("does not follow a batch norm", [](CaseBuilder& b) { b.relu(0); });
  refused("does not follow a batch norm",
          [](CaseBuilder& b) { b.relu(b.relu(b.conv_norm(0, "c", 8, 3))); });
  refused("'add' does not follow a batch norm", [](CaseBuilder& b) {
    const int y = b.conv(0, "c", 8, 3);
    b.add(y, y);
  });
  refused("'add' does not follow a batch norm", [](CaseBuilder& b) {  // the ReLU comes after adding
    const int y = b.relu(b.conv_norm(0, "c", 8, 3));
    b.add(b.relu(b.conv_norm(y, "d", 8, 3)), y);
  });
  refused("'add' does not follow a batch norm", [](CaseBuilder& b) {  // two residuals
    const int y = b.relu(b.conv_norm(0, "c", 8, 3));
    b.add(b.add(b.conv_norm(y, "d", 8, 3), y), y);
  });
}

}  // namespace
}  // namespace hardmoe
