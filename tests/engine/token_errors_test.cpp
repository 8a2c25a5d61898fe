// What the operators of transformers refuse, and their initial weights.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "expect_error.h"

namespace hardmoe {
namespace {

/// The operator on 4 tokens of 12 channels.
void expect_refused(const Op& op, const std::vector<std::string>& words,
                    ExitStatus status = ExitStatus::failed) {
  CaseBuilder build({4, 4, 3});
  Op reading = op;
  const int map = build.conv(0, "patches", 12, 1, 2);
  reading.inputs = {build.tokens(map)};
  build.network.append(reading);
  expect_error([&] { value_types(build.network); }, words, status);
}

/// The operator on a map.
void expect_map_refused(const std::string& type, std::map<std::string, double> attributes) {
  CaseBuilder build({4, 4, 3});
  const int map = build.conv(0, "patches", 12, 1, 2);
  build.network.append({type, "tested", {map}, std::move(attributes)});
  expect_error([&] { value_types(build.network); }, {"'tested'", "token"});
}

TEST(TokenOperators, RefuseWhatDoesNotFit) {
  const ExitStatus usage = ExitStatus::usage;
  expect_refused({"attention", "attn", {}, {{"heads", 3}}}, {"'attn'", "12 channels", "3 equal"},
                 usage);
  expect_refused({"attention", "attn", {}, {{"heads", 0}}}, {"'attn'", "0 equal"}, usage);
  expect_refused({"attention", "attn", {}, {}}, {"'attn'", "'heads' is missing"});
  expect_refused({"positions", "p", {}, {{"sincos", 1}, {"height", 3}, {"width", 2}}},
                 {"'p'", "3×2 positions", "4 tokens"});
  expect_refused({"positions", "p", {}, {{"sincos", 1}, {"height", 2}}}, {"'width' is missing"});
  expect_refused({"token_pool", "", {}, {}}, {"'first' is missing"});
  expect_map_refused("attention", {{"heads", 2}});
  expect_map_refused("positions", {});
  expect_map_refused("class_token", {});
  expect_map_refused("token_pool", {{"first", 1}});

  CaseBuilder odd({4, 4, 3});
  odd.positions(odd.tokens(odd.conv(0, "patches", 10, 1, 2)),
                {{"sincos", 1}, {"height", 2}, {"width", 2}});
  expect_error([&] { value_types(odd.network); }, {"multiple of 4", "found 10"}, usage);

  CaseBuilder wide({4, 4, 3});
  wide.attention(wide.tokens(wide.conv(0, "patches", 3 * 136, 1, 2)), 1);
  expect_error([&] { value_types(wide.network); }, {"136 channels", "at most 128"}, usage);
}

TEST(TokenOperators, LinearLayersBeginAsTheyAreToldTo) {
  auto build = CaseBuilder::of_features(100);
  const auto append = [&](const std::string& name, std::map<std::string, double> attributes) {
    attributes.emplace("channels", 50);
    build.network.append({"linear", name, {0}, std::move(attributes)});
  };
  append("usual", {});
  append("normal", {{"deviation", 0.5}});
  append("zero", {{"deviation", 0}});
  append("shifted", {{"initial_bias", -10}});
  append("bare", {{"bias", 0}});
  const StateDict weights = initial_weights(build.network, 3);
  const auto deviation = [&](const std::string& name) {
    double squares = 0;
    for (const float value : weights.at(name).as<float>()) squares += std::pow(double{value}, 2);
    return std::sqrt(squares / static_cast<double>(weights.at(name).elements()));
  };
  EXPECT_NEAR(deviation("usual.weight"), 0.1 / std::sqrt(3.0), 2e-3);
  EXPECT_NEAR(deviation("normal.weight"), 0.5, 0.02);
  EXPECT_EQ(deviation("normal.bias"), 0);
  EXPECT_EQ(deviation("zero.weight"), 0);
  EXPECT_NEAR(deviation("shifted.weight"), 0.1 / std::sqrt(3.0), 2e-3);
  for (const float value : weights.at("shifted.bias").as<float>()) EXPECT_EQ(value, -10);
  EXPECT_FALSE(weights.contains("bare.bias"));
}

}  // namespace
}  // namespace hardmoe
