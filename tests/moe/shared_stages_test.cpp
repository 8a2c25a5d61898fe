#include "moe/shared_stages.h"

#include <gtest/gtest.h>

#include "engine/network_facts.h"
#include "nn/resnet.h"
#include "references/closed_form.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class SharedStages : public testing::Test {
 protected:
  SharedStages() {
    base.card.model = {.depth = 18, .stem = Stem::small, .width = 4, .image_size = 8};
    base.card.tags = 3;
    for (const auto& spec : parameters_of(resnet(base.card.model, base.card.tags))) {
      base.weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
    }
  }

  /// Saves an expert of which one tensor's first value is another than the base's.
  void add_expert(const std::string& changed, float by = 1) {
    Model expert = base;
    if (!changed.empty()) {
      const Tensor& before = base.weights.at(changed);
      Tensor after(DType::f32, before.shape());
      std::ranges::copy(before.as<float>(), after.as<float>().begin());
      after.as<float>()[0] = by == 0 ? -after.as<float>()[0] : after.as<float>()[0] + by;
      expert.weights.insert_or_assign(changed, after);
    }
    add_expert(expert);
  }
  void add_expert(const Model& expert) {
    experts.push_back(folder / std::to_string(experts.size()));
    std::filesystem::create_directories(experts.back());
    save_model(experts.back(), expert);
  }

  TemporaryFolder folder;
  Model base;
  std::vector<std::filesystem::path> experts;
};

TEST_F(SharedStages, EndWhereAnyExpertDiffers) {
  EXPECT_EQ(shared_cut(base, experts), std::nullopt);
  for (const char* behind : {"", "fc.bias", "layer4.1.bn2.running_mean"}) {
    add_expert(behind);
    EXPECT_EQ(shared_cut(base, experts), 3) << behind;
  }
  add_expert("layer3.0.downsample.1.running_var");
  EXPECT_EQ(shared_cut(base, experts), 2);
  add_expert("layer2.1.conv2.weight");
  EXPECT_EQ(shared_cut(base, experts), 1);
  add_expert("layer3.0.conv1.weight");
  EXPECT_EQ(shared_cut(base, experts), 1);
  add_expert("layer1.0.bn1.bias");
  EXPECT_EQ(shared_cut(base, experts), 0);
  add_expert("bn1.running_mean");
  EXPECT_EQ(shared_cut(base, experts), std::nullopt);
}

TEST_F(SharedStages, AreTheSameBitForBit) {
  Tensor& bias = base.weights.at("layer3.0.bn1.bias");
  bias.as<float>()[0] = 0;
  add_expert("layer3.0.bn1.bias", 0);  // −0
  EXPECT_EQ(shared_cut(base, experts), 2);
}

TEST_F(SharedStages, ReadTheSameImages) {
  Model expert = base;
  expert.card.model.input.mean[0] = 0.5;
  add_expert(expert);
  EXPECT_EQ(shared_cut(base, experts), std::nullopt);
}

}  // namespace
}  // namespace hardmoe
