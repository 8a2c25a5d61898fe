// What vit() refuses to build, and what it builds without an engine; outputs and gradients are compared
// in tests/engine/vit_reference_test.cpp.
#include "nn/vit.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "expect_error.h"

namespace hardmoe {
namespace {

TEST(Vit, RefusesWhatItCannotBuild) {
  const auto refused = [](const VitConfig& config, const std::vector<std::string>& words) {
    expect_error([&] { vit(config, 10); }, words, ExitStatus::usage);
  };
  refused({.patch_size = 5},
          {"model.vit.patch_size", "5 pixels do not divide images of 32", "30 or 35"});
  refused({.patch_size = 33}, {"model.vit.patch_size", "1 to 32", "33"});
  refused({.patch_size = 0}, {"model.vit.patch_size", "0"});
  refused({.width = 190}, {"model.vit.heads", "3 heads do not divide a width of 190"});
  refused({.width = -8}, {"model.vit.width", "-8"});
  refused({.depth = 101}, {"model.vit.depth", "101"});
  refused({.heads = 65}, {"model.vit.heads", "65"});
  refused({.mlp_ratio = 0}, {"model.vit.mlp_ratio", "0"});
  refused({.image_size = 4}, {"model.image_size", "4"});
}

TEST(Vit, SizesHaveNames) {
  const auto shape = [](VitConfig config) { return vit_shape(config); };
  EXPECT_EQ(shape({.size = VitSize::small}).width, 384);
  EXPECT_EQ(shape({.size = VitSize::small}).heads, 6);
  EXPECT_EQ(shape({.size = VitSize::base, .depth = 4}).depth, 4);
  EXPECT_EQ(shape({.size = VitSize::base}).hidden, 3072);
  EXPECT_EQ(shape({}).tokens, 65);
  EXPECT_EQ(shape({.pooling = VitPooling::mean}).tokens, 64);
}

TEST(Vit, AnyBlocksMlpMayBeAnother) {
  std::vector<std::string> names;
  const VitMlp other = [&](Network& network, int value, const std::string& name) {
    names.push_back(name);
    return network.append({"gelu", name, {value}, {}});
  };
  const Network network = vit({.depth = 3}, 10, {{1, other}});
  EXPECT_EQ(names, std::vector<std::string>{"blocks.1.mlp"});
  const auto has = [&](const std::string& name) {
    return std::any_of(network.ops.begin(), network.ops.end(),
                       [&](const Op& op) { return op.name == name; });
  };
  EXPECT_TRUE(has("blocks.0.mlp.fc1"));
  EXPECT_FALSE(has("blocks.1.mlp.fc1"));
  EXPECT_TRUE(has("blocks.2.mlp.fc2"));
  expect_error([&] { vit({.depth = 3}, 10, {{3, other}}); }, {"3 blocks", "no block 3"});
}

}  // namespace
}  // namespace hardmoe
