// What sparse layers may be set to, what stands for a paper's value, and the networks that are built;
// what these compute is compared in tests/engine.
#include "nn/sparse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "expect_error.h"
#include "nn/architecture.h"
#include "nn/sparse_resnet.h"
#include "nn/vmoe.h"

namespace hardmoe {
namespace {

ModelConfig model_of(SparseKind kind) {
  ModelConfig model{.width = 8, .image_size = 16};
  model.sparse.kind = kind;
  model.architecture = kind == SparseKind::vmoe ? Architecture::vit : Architecture::resnet;
  model.vit = {.width = 16, .depth = 6, .heads = 2};
  return model;
}

const Op* find(const Network& network, const std::string& name) {
  const auto found = std::ranges::find(network.ops, name, &Op::name);
  return found == network.ops.end() ? nullptr : &*found;
}

TEST(Sparse, LeftOutWeightsAreThePapers) {
  const auto defaults = [](SparseConfig config) { return with_defaults(config); };
  const SparseConfig shazeer = defaults({.kind = SparseKind::shazeer});
  EXPECT_EQ(shazeer.importance, 0.1);
  EXPECT_EQ(shazeer.load, 0.1);
  EXPECT_EQ(shazeer.divergence, 0);
  const SparseConfig vmoe = defaults({.kind = SparseKind::vmoe});
  EXPECT_EQ(vmoe.importance, 0.005);
  EXPECT_EQ(vmoe.load, 0.005);
  const SparseConfig soft = defaults({.kind = SparseKind::pavlitska});
  EXPECT_EQ(soft.importance, 0.5);
  EXPECT_EQ(soft.load, 0);
  EXPECT_TRUE(soft.noise);
  const SparseConfig kl = defaults({.kind = SparseKind::pavlitska, .divergence = 0.5});
  EXPECT_EQ(kl.importance, 0);
  EXPECT_EQ(kl.divergence, 0.5);
  const SparseConfig hard =
      defaults({.kind = SparseKind::pavlitska, .constraint = GateConstraint::relative});
  EXPECT_EQ(hard.importance, 0);
  EXPECT_EQ(hard.limit, 0.5);
  EXPECT_FALSE(hard.noise);
  EXPECT_EQ(defaults({.kind = SparseKind::pavlitska, .constraint = GateConstraint::mean}).limit,
            0.3);
  EXPECT_EQ(defaults({.kind = SparseKind::shazeer, .noise = false}).load, 0);
}

TEST(Sparse, SettingsOfOtherKindsAreDropped) {
  using Names = std::vector<std::string>;
  SparseConfig stage{.kind = SparseKind::shazeer, .stages = {3, 4}, .limit = 0.2, .capacity = 2};
  EXPECT_EQ(drop_unused(stage), (Names{"limit", "capacity"}));
  EXPECT_EQ(stage.limit, SparseConfig().limit);
  EXPECT_EQ(stage.capacity, SparseConfig().capacity);
  EXPECT_EQ(stage.stages, (std::vector<double>{3, 4}));
  EXPECT_EQ(drop_unused(stage), Names());
  SparseConfig bound{.kind = SparseKind::pavlitska,
                     .constraint = GateConstraint::mean,
                     .limit = 0.2,
                     .last = 1,
                     .priority = RoutingPriority::both};
  EXPECT_EQ(drop_unused(bound), (Names{"last", "priority"}));
  EXPECT_EQ(bound.limit, 0.2);
  SparseConfig tokens{.kind = SparseKind::vmoe,
                      .stages = {3},
                      .expert_channels = {56},
                      .gate = GateInput::conv,
                      .last = 2,
                      .capacity = 2};
  EXPECT_EQ(drop_unused(tokens), (Names{"stages", "expert_channels", "gate"}));
  EXPECT_EQ(tokens.last, 2);
  EXPECT_EQ(tokens.capacity, 2);
}

TEST(Sparse, ImpossibleSettingsAreNamed) {
  const auto refused = [](SparseConfig config, const std::vector<std::string>& words) {
    if (config.kind == SparseKind::none) config.kind = SparseKind::shazeer;
    expect_error([&] { check_sparse(with_defaults(config), "sparse.layer"); }, words,
                 ExitStatus::usage);
  };
  refused({.experts = 1}, {"sparse.layer.experts", "found 1"});
  refused({.experts = 4, .chosen = 5}, {"sparse.layer.chosen", "1 to 4", "found 5"});
  refused({.chosen = 0}, {"sparse.layer.chosen", "found 0"});
  refused({.stages = {}}, {"sparse.layer.stages", "no stage"});
  refused({.stages = {4, 3}}, {"sparse.layer.stages", "ascending", "3 behind 4"});
  refused({.stages = {2.5}}, {"sparse.layer.stages", "2.5"});
  refused({.stages = {5}}, {"sparse.layer.stages", "5"});
  refused({.expert_channels = {8, 8}}, {"sparse.layer.expert_channels", "1 stages", "2"});
  refused({.expert_channels = {0}}, {"sparse.layer.expert_channels", "0"});
  refused({.noise = false, .load = 0.1}, {"sparse.layer.load", "noise"});
  refused({.importance = -0.5}, {"sparse.layer.importance", "-0.5"});
  refused({.importance = std::nan("")}, {"sparse.layer.importance"});
  refused({.constraint = GateConstraint::mean}, {"sparse.layer.constraint", "pavlitska"});
  refused({.kind = SparseKind::pavlitska, .importance = 0.5, .constraint = GateConstraint::mean},
          {"sparse.layer.importance", "constraint"});
  refused({.kind = SparseKind::vmoe, .capacity = 0}, {"sparse.layer.capacity", "found 0"});
  refused({.kind = SparseKind::vmoe, .capacity = 1e9}, {"sparse.layer.capacity", "at most 1e6"});
  refused({.kind = SparseKind::pavlitska,
           .experts = 4,
           .constraint = GateConstraint::mean,
           .limit = 0.75},
          {"sparse.layer.limit", "below 0.75"});
  refused({.kind = SparseKind::vmoe, .last = -1}, {"sparse.layer.last", "-1"});
}

TEST(Sparse, KindAndArchitectureGoTogether) {
  ModelConfig model = model_of(SparseKind::vmoe);
  model.architecture = Architecture::resnet;
  expect_error([&] { network_of(model, 3); }, {"sparse.layer.kind", "model.architecture to vit"},
               ExitStatus::usage);
  model = model_of(SparseKind::shazeer);
  model.architecture = Architecture::vit;
  expect_error([&] { network_of(model, 3); }, {"sparse.layer.kind", "vmoe"}, ExitStatus::usage);
}

TEST(Sparse, WhatIsAskedOfATrainedModelMayDiffer) {
  const SparseConfig shazeer{.kind = SparseKind::shazeer, .experts = 4},
      vmoe{.kind = SparseKind::vmoe};
  EXPECT_EQ(changed(shazeer, {.chosen = 3}).chosen, 3);
  EXPECT_EQ(changed(shazeer, {}).chosen, 2);
  EXPECT_EQ(changed(vmoe, {.capacity = 0.5}).capacity, 0.5);
  const auto refused = [](const SparseConfig& config, SparseOverride by,
                          const std::vector<std::string>& words) {
    expect_error([&] { changed(config, by); }, words, ExitStatus::usage);
  };
  refused(shazeer, {.chosen = 5}, {"--chosen", "1 to 4", "5"});
  refused(shazeer, {.chosen = 0}, {"--chosen", "found 0"});
  refused(shazeer, {.capacity = 1}, {"--capacity", "vmoe"});
  refused(vmoe, {.capacity = 0}, {"--capacity", "found 0"});
  refused(vmoe, {.capacity = 1e7}, {"--capacity", "at most 1e6"});
  refused(shazeer, {.priority = true}, {"--priority", "vmoe"});
  using enum RoutingPriority;
  for (const auto& [trained, with, without] :
       {std::array{none, evaluation, none}, std::array{training, both, training},
        std::array{evaluation, evaluation, none}, std::array{both, both, training}}) {
    EXPECT_EQ(changed({.kind = SparseKind::vmoe, .priority = trained}, {.priority = true}).priority,
              with);
    EXPECT_EQ(
        changed({.kind = SparseKind::vmoe, .priority = trained}, {.priority = false}).priority,
        without);
  }
  refused({}, {.chosen = 1}, {"--chosen", "moe-train-sparse"});
}

TEST(SparseResnet, ExpertsCostWhatTheStageDid) {
  // ResNet-18's stage 2 takes 9·(64·128 + 3·128·128) + 64·128 products a position, an expert of
  // M channels 9·M·(64 + 3·128) + 64·128.
  const ModelConfig model;
  EXPECT_EQ(matched_channels(model, 2, 1), 128);
  EXPECT_EQ(matched_channels(model, 2, 2), 63);  // half of it, less half a shortcut: 62.98
  EXPECT_EQ(matched_channels(model, 1, 1), 64);  // no shortcut
  EXPECT_EQ(matched_channels(model, 1, 2), 32);
  EXPECT_EQ(matched_channels({.width = 1}, 1, 64), 1);
  // ResNet-50's: 131,072 (the first block's 1×1 before the stride) + 131,072 (shortcut) +
  // 4·212,992 + 3·65,536 products; an expert 9·M·(256 + 3·512) + 131,072.
  EXPECT_EQ(matched_channels({.depth = 50}, 2, 1), 73);
}

TEST(SparseResnet, HasExpertsInItsStages) {
  ModelConfig model = model_of(SparseKind::shazeer);
  model.sparse.stages = {2, 4};
  model.sparse.expert_channels = {3, 5};
  const SparseNetwork built = sparse_resnet(model, 3);
  for (const char* name :
       {"layer1.0.conv1", "layer3.1.conv2", "layer2.gate.fc", "layer4.combine"}) {
    EXPECT_NE(find(built.network, name), nullptr) << name;
  }
  EXPECT_EQ(find(built.network, "layer2.0.conv1"), nullptr);
  const Op& conv = *find(built.network, "layer4.experts.0.conv1");
  EXPECT_EQ(conv.attributes.at("channels"), 5);
  EXPECT_EQ(conv.attributes.at("stride"), 2);
  EXPECT_EQ(find(built.network, "layer4.experts.1.conv2")->attributes.at("channels"), 64);
  EXPECT_EQ(find(built.network, "layer4.gate.fc")->attributes.at("deviation"), 0);  // begins at 0
  const auto gates = gate_statistics(built.network);
  ASSERT_EQ(gates.size(), 2U);
  EXPECT_EQ(gates[1].layer, "layer4");
  EXPECT_EQ(gates[1].usage, "layer4.gate.usage");
}

/// The names of a network's losses, and whether the values they read are what they should be.
std::vector<std::string> losses_of(const SparseNetwork& built) {
  const auto made_by = [&](int value) {
    return built.network.ops.at(static_cast<size_t>(value) - 1);
  };
  std::vector<std::string> names;
  for (const GateLoss& loss : built.losses) {
    names.push_back(loss.name);
    const Op op = made_by(loss.value);
    if (loss.kind == GateLoss::Kind::load) {
      EXPECT_TRUE(op.name.ends_with(".gate.fc"));
      EXPECT_TRUE(made_by(loss.noisy).type.ends_with("noise"));
      EXPECT_EQ(loss.k, 2);
    } else {
      EXPECT_TRUE(op.type == "top_k" || op.name.ends_with(".gate.clean")) << op.name;
    }
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(SparseResnet, AddsThePapersLosses) {
  const SparseNetwork shazeer = sparse_resnet(model_of(SparseKind::shazeer), 3);
  EXPECT_EQ(losses_of(shazeer), (Names{"importance/layer4", "load/layer4"}));
  EXPECT_EQ(shazeer.losses[0].ddof, 0);
  EXPECT_TRUE(shazeer.losses[1].excluding);
  EXPECT_GE(shazeer.losses[1].sigma, 0);
  const SparseNetwork pavlitska = sparse_resnet(model_of(SparseKind::pavlitska), 3);
  EXPECT_EQ(losses_of(pavlitska), Names{"importance/layer4"});
  EXPECT_EQ(pavlitska.losses[0].ddof, 1);
  EXPECT_EQ(find(pavlitska.network, "layer4.gate.sigma")->attributes.at("shift"), 0.01);
  EXPECT_EQ(find(shazeer.network, "layer4.gate.sigma")->attributes.at("floor"), 0.01);
  ModelConfig hard = model_of(SparseKind::pavlitska);
  hard.sparse.constraint = GateConstraint::mean;
  hard.sparse.gate = GateInput::conv;
  const SparseNetwork bound = sparse_resnet(hard, 3);
  EXPECT_TRUE(bound.losses.empty());
  EXPECT_EQ(find(bound.network, "layer4.gate.noise"), nullptr);
  EXPECT_EQ(find(bound.network, "layer4.gate.top_k")->attributes.at("limit"), 0.3);
  EXPECT_NE(find(bound.network, "layer4.gate.conv"), nullptr);
}

TEST(VMoe, HasExpertsInEverySecondBlockOrTheLast) {
  EXPECT_EQ(sparse_blocks(12, 0), (std::vector<int>{1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(sparse_blocks(12, 2), (std::vector<int>{9, 11}));
  EXPECT_EQ(sparse_blocks(5, 1), std::vector<int>{3});
  expect_error([] { sparse_blocks(12, 7); }, {"sparse.layer.last", "0 to 6", "7"},
               ExitStatus::usage);
  expect_error([] { sparse_blocks(1, 0); }, {"model.vit.depth", "at least 2", "found 1"},
               ExitStatus::usage);
  ModelConfig model = model_of(SparseKind::vmoe);
  model.sparse.last = 2;
  model.sparse.priority = RoutingPriority::evaluation;
  const SparseNetwork built = vmoe(model, 3);
  EXPECT_NE(find(built.network, "blocks.1.mlp.fc1"), nullptr);
  EXPECT_EQ(find(built.network, "blocks.3.mlp.fc1"), nullptr);
  EXPECT_NE(find(built.network, "blocks.5.mlp.experts.fc2"), nullptr);
  EXPECT_EQ(find(built.network, "blocks.5.mlp.gate.capacity")->attributes.at("priority"), 2);
  EXPECT_EQ(losses_of(built), (Names{"importance/blocks.3.mlp", "load/blocks.3.mlp",
                                     "importance/blocks.5.mlp", "load/blocks.5.mlp"}));
  for (const char* linear : {"blocks.5.mlp.experts.fc1", "blocks.1.mlp.fc1"}) {  // begin alike
    EXPECT_EQ(find(built.network, linear)->attributes.at("deviation"), 0.02) << linear;
  }
  EXPECT_EQ(built.losses[1].deviation, 1.0 / 8);
  EXPECT_FALSE(built.losses[1].excluding);
  EXPECT_EQ(gate_statistics(built.network)[1].layer, "blocks.5.mlp");
}

}  // namespace
}  // namespace hardmoe
