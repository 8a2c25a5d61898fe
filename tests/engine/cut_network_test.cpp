// A ResNet cut in two: both parts, one after the other, beside the whole network.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

constexpr int64_t batch_size = 5, tags = 7;
constexpr int64_t ragged = 3;  // rows of the last batch

struct Answers {
  std::vector<float> features, logits;
};

/// A network on the device under test, loaded with the whole network's weights.
class Compiled {
 public:
  Compiled(Engine& engine, const Network& network, const StateDict& weights, Precision precision)
      : network_(network),
        program_(engine.compile(network, {.batch = batch_size,
                                          .precision = precision,
                                          .mode = Mode::infer,
                                          .deterministic = true})) {
    program_->load_weights(weights, "the whole network's");
  }

  Answers answers(const Batch& batch) {
    const auto room = [&](int64_t each) {
      return std::vector<float>(static_cast<size_t>(batch.size * each));
    };
    Answers found{room(feature_size(network_)), room(logits_size(network_))};
    program_->infer(batch, found.features, found.logits);
    return found;
  }

 private:
  Network network_;
  std::unique_ptr<Program> program_;
};

Batch first_rows(Batch batch, int64_t rows) {
  batch.size = rows;
  batch.tag_ptr.resize(static_cast<size_t>(rows) + 1);
  return batch;
}

/// A batch of maps, with rows that are not in use.
Batch batch_of(const std::vector<float>& maps, const Extent& extent) {
  Batch batch;
  batch.input = Tensor(DType::f32, {batch_size, extent.height, extent.width, extent.channels});
  std::copy(maps.begin(), maps.end(), batch.input.as<float>().begin());
  batch.size = std::ssize(maps) / extent.elements();
  batch.tag_ptr.assign(static_cast<size_t>(batch.size) + 1, 0);
  return batch;
}

void expect_same(const std::vector<float>& found, const std::vector<float>& whole,
                 Precision precision, const std::string& what) {
  ASSERT_EQ(found.size(), whole.size());
  if (device_under_test() == "cpu") {
    EXPECT_EQ(std::memcmp(found.data(), whole.data(), 4 * whole.size()), 0) << what;
    return;
  }
  double difference = 0, norm = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    difference += std::pow(double{found[i]} - double{whole[i]}, 2);
    norm += std::pow(double{whole[i]}, 2);
  }
  EXPECT_LE(std::sqrt(difference / norm), precision == Precision::bf16 ? 1e-2 : 1e-5) << what;
}

class CutNetwork : public testing::TestWithParam<ModelConfig> {};

TEST_P(CutNetwork, BothPartsAnswerAsTheWhole) {
  const auto engine = engine_under_test();
  const Network whole = resnet(GetParam(), tags);
  const StateDict weights = case_weights(whole);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    if (!engine->supports(precision)) continue;
    Compiled uncut(*engine, whole, weights, precision);
    for (int cut = 0; cut <= last_cut; ++cut) {
      const Network until = resnet_until(GetParam(), cut),
                    from = resnet_from(GetParam(), cut, tags);
      ASSERT_EQ(value_types(until).back().extent, from.extent);
      EXPECT_EQ(flops_per_image(until) + flops_per_image(from), flops_per_image(whole));
      EXPECT_EQ(parameter_count(until) + parameter_count(from), parameter_count(whole));
      Compiled first(*engine, until, weights, precision), rest(*engine, from, weights, precision);
      for (const int64_t rows : {batch_size, ragged}) {
        const Batch images = first_rows(case_batch(whole, batch_size), rows);
        const Answers expected = uncut.answers(images);
        const Answers found = rest.answers(batch_of(first.answers(images).features, from.extent));
        const auto where = fmt::format("cut {}, {} rows, {}", cut, rows, name_of(precision));
        expect_same(found.features, expected.features, precision, "features, " + where);
        expect_same(found.logits, expected.logits, precision, "logits, " + where);
      }
    }
  }
}

std::vector<ModelConfig> models() {
  std::vector<ModelConfig> all;
  for (const int depth : {18, 50}) {
    for (const int width : {4, 8}) {
      all.push_back({depth, Stem::small, width, 17});  // odd maps
      all.push_back({depth, Stem::imagenet, width, 32});
    }
  }
  return all;
}

std::string name_of_model(const testing::TestParamInfo<ModelConfig>& one) {
  return fmt::format("resnet{}_w{}_{}", one.param.depth, one.param.width,
                     one.param.stem == Stem::small ? "small" : "imagenet");
}

INSTANTIATE_TEST_SUITE_P(ResNets, CutNetwork, testing::ValuesIn(models()), name_of_model);
INSTANTIATE_TEST_SUITE_P(
    Tails, CutNetwork,
    testing::Values(ModelConfig{.width = 8, .image_size = 17, .tail = {.behind = 2, .width = 3}},
                    ModelConfig{.depth = 50, .width = 4, .image_size = 16, .tail = {1, 5}}),
    name_of_model);

// The stages before a tail are those of a network without one.
TEST(CutNetworks, ATailLeavesWhatIsBeforeIt) {
  ModelConfig model{.depth = 50, .width = 16, .image_size = 32};
  const Network whole = resnet(model, tags), until = resnet_until(model, 2);
  model.tail = {.behind = 2, .width = 4};
  const Network before = resnet_until(model, 2);
  ASSERT_EQ(before.ops.size(), until.ops.size());
  EXPECT_EQ(value_types(before), value_types(until));
  EXPECT_EQ(feature_size(resnet(model, tags)), 4 * 8 * 4);
  EXPECT_EQ(feature_size(whole), 4 * 8 * 16);
}

TEST(CutNetworks, BatchesOfOtherMapsAreRefused) {
  const auto engine = engine_under_test();
  const ModelConfig model{18, Stem::small, 4, 16};
  const Network from = resnet_from(model, 2, tags);
  EXPECT_EQ(from.extent, (Extent{8, 8, 8}));
  Compiled rest(*engine, from, case_weights(from), Precision::fp32);
  EXPECT_THROW(rest.answers(batch_of(std::vector<float>(256), {8, 4, 8})), Error);
}

}  // namespace
}  // namespace hardmoe
