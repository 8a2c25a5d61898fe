#include "moe/mixture.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "expect_error.h"
#include "moe/mixture_networks.h"
#include "nn/architecture.h"
#include "reference_images.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

/// The network of a classifier on ImageNet, of which the published figures are.
ModelCard imagenet_card() {
  ModelCard card;
  card.model = {.depth = 18, .stem = Stem::imagenet, .width = 64, .image_size = 224};
  card.tags = 1000;
  return card;
}

// torchvision's ResNet-18 has 11,689,512 parameters, 513,000 of them in fc, and 1.814e9
// multiply-adds (its weights' metadata), 512,000 of them in fc.
TEST(MixtureCost, IsThatOfItsTrunksAndDecoders) {
  constexpr int64_t decoder = 513'000, trunk = 11'689'512 - decoder;
  constexpr double trunk_flops = 2 * (1.814e9 - 512e3), decoder_flops = 2 * 512e3;
  Mixture mixture;
  mixture.base.card = imagenet_card();
  mixture.partition.gater.experts = 8;
  const Cost one = model_cost(mixture.base.card);
  EXPECT_EQ(one.parameters, trunk + decoder);
  EXPECT_NEAR(one.flops, trunk_flops + decoder_flops, 2e6);

  const Cost local = mixture_cost(mixture, 1);  // each expert keeps its own decoder
  EXPECT_EQ(local.parameters, 9 * trunk + 8 * decoder);
  EXPECT_NEAR(local.flops, 2 * trunk_flops + decoder_flops, 4e6);
  EXPECT_NEAR(mixture_cost(mixture, 3).flops, 4 * trunk_flops + 3 * decoder_flops, 8e6);

  mixture.decoder = StateDict{};
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, 9 * trunk + decoder);

  mixture.router.emplace().card = mixture.base.card;  // a quarter of the cost, near enough
  mixture.router->card.model.width = 32;
  mixture.router->card.tags = 8;
  const Cost router = model_cost(mixture.router->card);
  EXPECT_NEAR(router.flops, trunk_flops / 4, 0.05 * trunk_flops);
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, 8 * trunk + decoder + router.parameters);
  EXPECT_NEAR(mixture_cost(mixture, 1).flops, router.flops + trunk_flops + decoder_flops, 2e6);
  mixture.router.reset();

  // The base's answer costs its head; a decoder of both features has twice the inputs.
  EXPECT_EQ(mixture_cost(mixture, 1, true).parameters, 9 * trunk + 2 * decoder);
  EXPECT_NEAR(mixture_cost(mixture, 1, true).flops, 2 * trunk_flops + 2 * decoder_flops, 4e6);
  mixture.embedding = EmbeddingKind::both;
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, 9 * trunk + 2 * 512'000 + 1000);
  EXPECT_NEAR(mixture_cost(mixture, 1).flops, 2 * trunk_flops + 2 * decoder_flops, 4e6);
  mixture.external_embedding = true;
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, 9 * trunk + 2 * 512'000 + 1000);

  mixture.embedding = EmbeddingKind::expert;  // nothing of ours routes
  EXPECT_EQ(mixture_cost(mixture, 1, true).parameters, 9 * trunk + 2 * decoder);
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, 8 * trunk + decoder);
  EXPECT_NEAR(mixture_cost(mixture, 1).flops, trunk_flops + decoder_flops, 2e6);
}

// The stem and layer1 of torchvision's ResNet-18 have 9408 + 128 and 4·36864 + 4·128 parameters,
// and 112²·9408 and 4·56²·36864 multiply-adds.
TEST(MixtureCost, CountsSharedStagesOnce) {
  Mixture mixture;
  mixture.base.card = imagenet_card();
  mixture.partition.gater.experts = 8;
  const Cost apart = mixture_cost(mixture, 1), three = mixture_cost(mixture, 3, true);
  mixture.external_embedding = true;
  const Cost alone = mixture_cost(mixture, 1);
  mixture.external_embedding = false;
  mixture.shared_cut = 1;
  constexpr int64_t kept = 9408 + 128 + 4 * 36864 + 4 * 128;
  constexpr double flops = 2.0 * (112 * 112 * 9408 + 4.0 * 56 * 56 * 36864);
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, apart.parameters - 8 * kept);
  EXPECT_EQ(mixture_cost(mixture, 1).flops, apart.flops - flops);
  EXPECT_EQ(mixture_cost(mixture, 3, true).flops, three.flops - 3 * flops);
  EXPECT_EQ(trunks_cost(mixture, 0).flops, 0);
  mixture.external_embedding = true;  // the experts share them among themselves
  EXPECT_EQ(mixture_cost(mixture, 1).parameters, alone.parameters - 7 * kept);
  EXPECT_EQ(mixture_cost(mixture, 1).flops, alone.flops);
}

TEST(MixtureCost, OfARouterOnTheBasesStagesIsItsTail) {
  Mixture mixture;
  mixture.base.card = imagenet_card();
  mixture.partition.gater.experts = 8;
  const ModelConfig& model = mixture.base.card.model;
  const double expert = model_cost(mixture.base.card).flops;
  mixture.router.emplace().card = mixture.base.card;
  mixture.router->card.model.tail = {.behind = 2, .width = 16};
  mixture.router->card.tags = 8;
  const double router = model_cost(mixture.router->card).flops;
  const double before = flops_per_image(resnet_until(model, 2));
  for (const int apart : {-1, 0, 1}) {  // the experts share less
    if (apart >= 0) mixture.shared_cut = apart;
    EXPECT_FALSE(router_shares(mixture));
    EXPECT_EQ(mixture_cost(mixture, 1).flops, router + expert);
  }
  for (const int shared : {2, 3}) {
    mixture.shared_cut = shared;
    EXPECT_TRUE(router_shares(mixture));
    EXPECT_EQ(mixture_cost(mixture, 1).flops, router + expert - before);
    EXPECT_EQ(mixture_cost(mixture, 2).flops, router + 2 * (expert - before));
  }
}

TEST(MixtureParts, HoldEachImageOnceInItsOrder) {
  EXPECT_EQ(items_by_expert({2, 0, 2, 2, 0}, 4),
            (std::vector<std::vector<int64_t>>{{1, 4}, {}, {0, 2, 3}, {}}));
  EXPECT_THROW(items_by_expert({4}, 4), std::out_of_range);
}

// hashlib.sha256(numpy.array([0, 1, 258], '<i8').tobytes()).hexdigest(), and of no bytes.
TEST(MixtureParts, AreToldApartByTheSha256OfTheirNumbers) {
  EXPECT_EQ(fingerprint_of_items({0, 1, 258}),
            "f4c293741cd82d7247e0497e95e1dcf21ef2ee81adffdf23e0373829d122f372");
  EXPECT_EQ(fingerprint_of_items({}),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(RequirePartitionOf, NamesForeignValuesInItsRecord) {
  const TemporaryFolder folder;
  for (const char* name : {"base", "partition"}) std::filesystem::create_directory(folder / name);
  write_file_atomic(folder / "base/model.safetensors", "weights");
  const auto record = [&](const Json& inputs) {
    write_json(folder / "partition/stage.json", {{"command", "moe-partition"},
                                                 {"inputs", inputs},
                                                 {"done", true},
                                                 {"outputs", Json::object()}});
  };
  const auto required = [&] { require_partition_of(folder / "partition", folder / "base", "d"); };
  record({{"model", sha256_hex("weights")}, {"dataset", "d"}});
  EXPECT_NO_THROW(required());
  record({{"model", 7}, {"dataset", "d"}});
  expect_error(required, {"partition/stage.json: field 'model' holds number, expected string"});
  record({{"dataset", Json::object()}});
  expect_error(required, {"partition/stage.json: field 'dataset' holds object, expected string"});
}

/// Two experts: the stored network, and one whose feature is the same whatever the image.
class MixtureTest : public testing::Test {
 protected:
  static constexpr float constant = 0.75F;

  MixtureTest() : engine(make_engine("cpu")) {
    mixture.base.card.model = ReferenceImages::model();
    mixture.base.card.tags = ReferenceImages::tags;
    mixture.base.card.vocabulary = vocabulary_hash(reference.data->vocabulary());
    mixture.partition.gater.experts = 2;
    StateDict weights = ReferenceImages::weights();
    save(0, weights);
    // The last stage's norms give 0, but for the first block's, which give `constant`: its ReLU
    // leaves that, and the second block adds nothing to it.
    for (const char* norm : {"layer4.0.bn2", "layer4.0.downsample.1", "layer4.1.bn2"}) {
      for (const char* kind : {".weight", ".bias"}) {
        const std::string name = std::string(norm) + kind;
        const bool first_bias = name == "layer4.0.bn2.bias";
        Tensor values(DType::f32, weights.at(name).shape());
        for (float& value : values.as<float>()) value = first_bias ? constant : 0.0F;
        weights.insert_or_assign(name, values);
      }
    }
    save(1, weights);
  }

  void save(int64_t k, const StateDict& weights) {
    const auto expert = reference.folder / std::to_string(k);
    std::filesystem::create_directories(expert);
    save_model(expert, {mixture.base.card, weights});
    mixture.experts.push_back(expert);
  }

  Inference inference() {
    return {*engine, resnet(mixture.base.card.model, 0), 32, Precision::fp32};
  }

  ReferenceImages reference;
  Mixture mixture;
  std::unique_ptr<Engine> engine;
};

TEST_F(MixtureTest, UnifiedEmbeddingHasEachImagesOwnExpertsFeature) {
  MixtureNetworks networks(*engine, mixture, Precision::fp32, /*heads=*/false);
  const Tensor embedding =
      embed_by_experts(networks, reference.split(), {{1, 0, 1, 0}}, false, true).expert_features;
  ASSERT_EQ(embedding.shape(), (Shape{4, 128}));
  for (int64_t i = 0; i < 4; ++i) {
    const auto row = embedding.as<float>().subspan(static_cast<size_t>(i) * 128, 128);
    if (i % 2 == 1) {
      reference.expect_answer("eval.features", i, row);
    } else {
      for (const float value : row) EXPECT_NEAR(value, constant, 1e-6);
    }
  }
}

TEST_F(MixtureTest, EmbedGivesTheItemsInTheOrderAsked) {
  Inference trunk = inference();
  trunk.load(ReferenceImages::weights(), "closed form");
  const Tensor embedding = embed(trunk, reference.split(), {2, 0});
  ASSERT_EQ(embedding.shape(), (Shape{2, 128}));
  reference.expect_answer("eval.features", 2, embedding.as<float>().first(128));
  reference.expect_answer("eval.features", 0, embedding.as<float>().last(128));
}

TEST_F(MixtureTest, TheSharedDecoderTakesTheExpertsOwnsPlace) {
  const Tensor own = expert_state_dict(mixture, 0).at("fc.weight");
  EXPECT_EQ(own.as<float>()[0], ReferenceImages::weights().at("fc.weight").as<float>()[0]);
  const auto shared = Tensor::from(std::vector<float>(1280, 0.5F), {10, 128});
  mixture.decoder = StateDict{{"fc.weight", shared}, {"fc.bias", Tensor(DType::f32, {10})}};
  const StateDict weights = expert_state_dict(mixture, 0);
  EXPECT_EQ(weights.at("fc.weight").as<float>()[7], 0.5F);
  EXPECT_EQ(weights.at("fc.bias").as<float>()[7], 0.0F);
  EXPECT_EQ(weights.size(), ReferenceImages::weights().size());
}

TEST_F(MixtureTest, RefusesAnExpertOfAnotherArchitecture) {
  mixture.base.card.model.width = 32;
  expect_error([&] { expert_state_dict(mixture, 1); }, {"model.yaml", "base"});
}

TEST(ModelCost, OfAVMoEFollowsWhatItsExpertsHaveRoomFor) {
  ModelConfig model{.image_size = 32, .architecture = Architecture::vit};
  model.vit = {.width = 24, .depth = 4, .heads = 3, .pooling = VitPooling::mean};  // 64 tokens
  model.sparse = {.kind = SparseKind::vmoe, .experts = 8, .chosen = 2, .capacity = 1};
  const auto flops = [&](int chosen, double capacity) {
    model.sparse.chosen = chosen;
    model.sparse.capacity = capacity;
    return model_cost({model, 5, ""}).flops;
  };
  const double full = flops(2, 1), each = full - flops(1, 1);
  EXPECT_GT(each, 0);
  EXPECT_NEAR(flops(2, 0.5), full - each,
              1e-6 * full);  // 8 of the 16 rows an expert may be chosen by
  EXPECT_NEAR(flops(1, 0.5), full - 1.5 * each, 1e-6 * full);
  EXPECT_EQ(flops(2, 4), full);
  EXPECT_EQ(model_cost({model, 5, ""}).parameters, parameter_count(network_of(model, 5)));
}

}  // namespace
}  // namespace hardmoe
