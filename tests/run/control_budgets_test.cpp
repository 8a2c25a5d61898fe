// What the mixture's cost buys of a single network.
#include "run/control_budgets.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/network_facts.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

double trunk(const Config& config, int width) {
  ModelConfig model = config.model;
  model.width = width;
  return flops_per_image(resnet(model, 0));
}

Config of_width(int width) {
  Config config;
  config.model.width = width;
  config.base.epochs = 6;
  config.expert.epochs = 4;
  return config;
}

TEST(ControlBudgets, AWiderNetworkCostsWhatTheMixtureDoes) {
  for (const int depth : {18, 50}) {
    for (const int width : {8, 16, 64}) {
      Config config = of_width(width);
      config.model.depth = depth;
      const auto [wider, epochs] = wider_network(config);
      const double wanted = 2 * trunk(config, width);
      const double away = std::abs(trunk(config, wider) - wanted);
      EXPECT_LE(away, std::abs(trunk(config, wider - 1) - wanted)) << depth << ", " << width;
      EXPECT_LE(away, std::abs(trunk(config, wider + 1) - wanted)) << depth << ", " << width;
      EXPECT_NEAR(epochs * trunk(config, wider) / (10 * trunk(config, width)), 1, 1e-12);
    }
  }
  // Nearly all of a ResNet's operations grow with the square of its width.
  EXPECT_NEAR(wider_network(of_width(64)).width, std::sqrt(2.0) * 64, 1);
}

TEST(ControlBudgets, AnswersCountAsTheMixtureIsAsked) {
  Config config = of_width(32);
  config.eval.top_experts = 3;
  EXPECT_NEAR(wider_network(config).width, 64, 1);  // four trunks
  config.eval.top_experts = 1;
  config.run.embedding = config.run.features = {"own.npy"};  // nothing but an expert is asked
  EXPECT_EQ(wider_network(config).width, 32);
  EXPECT_EQ(wider_network(config).epochs, 10);
}

TEST(ControlBudgets, StagesThatExpertsKeepCountOnce) {
  Config config = of_width(32);
  config.expert.freeze = {"conv1.*", "bn1.*", "layer1.*", "layer2.*"};
  const double kept = flops_per_image(resnet_until(config.model, 2));
  const double wanted = 2 * trunk(config, 32) - kept;
  const auto away = [&](int width) { return std::abs(trunk(config, width) - wanted); };
  const int wider = wider_network(config).width;
  EXPECT_LT(wider, wider_network(of_width(32)).width);
  EXPECT_LE(away(wider), std::min(away(wider - 1), away(wider + 1)));
  const auto unlike = [&](auto change) {
    Config other = config;
    change(other.expert);
    return wider_network(other).width;
  };
  const int apart = wider_network(of_width(32)).width;
  EXPECT_EQ(unlike([](auto& expert) { expert.freeze = {"layer1.*", "layer2.*"}; }), apart);
  EXPECT_EQ(unlike([](auto& expert) { expert.start = ExpertStart::scratch; }), apart);
  EXPECT_EQ(unlike([](auto& expert) { expert.init = "earlier"; }), apart);
  config.expert.freeze.emplace_back("layer3.0.conv1.*");  // a stage in part
  EXPECT_EQ(wider_network(config).width, wider);
}

TEST(ControlBudgets, TwoNetworksShareTheEpochs) {
  EXPECT_EQ(mixture_epochs(of_width(8)), 10);
  EXPECT_EQ(ensemble_epochs(of_width(8)), 5);
}

TEST(ControlBudgets, ImagesThatSeveralExpertsSeeCountForEach) {
  Config config = of_width(8);
  config.partition.experts = 3;
  config.expert.overlap = 2;
  EXPECT_EQ(experts_epochs(config), 8);
  config.expert.overlap = 1;
  config.expert.outside = 0.5;  // half of an epoch's images
  EXPECT_EQ(experts_epochs(config), 8);
  EXPECT_EQ(mixture_epochs(config), 14);
  config.expert.epochs_of = EpochsOf::dataset;
  EXPECT_EQ(experts_epochs(config), 12);
  EXPECT_EQ(ensemble_epochs(config), 9);
}

TEST(ControlBudgets, AStepScheduleMovesWithTheEpochs) {
  Config config = of_width(8);
  using Words = std::vector<std::string>;
  EXPECT_EQ(epochs_options(config.base, "base", 10.0 / 3), (Words{"--epochs", "3.33333"}));
  config.base.schedule = ScheduleKind::step;
  config.base.step_epochs = {3, 4.5};
  EXPECT_EQ(epochs_options(config.base, "base", 12),
            (Words{"--epochs", "12", "--set", "base.step_epochs=[6,9]"}));
}

}  // namespace
}  // namespace hardmoe
