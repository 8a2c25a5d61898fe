// A trained network on disk and back, and what is said of folders that are not one.
#include "train/model_folder.h"

#include "base/files.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "nn/architecture.h"
#include "temporary_folder.h"
#include "train/probability.h"
#include "train/toy_training.h"

namespace hardmoe {
namespace {

Model small_model() {
  const ModelConfig config{.depth = 18, .stem = Stem::small, .width = 8, .image_size = 16};
  return {{config, 5, "the vocabulary's hash"}, initial_weights(resnet(config, 5), 7)};
}

TEST(ModelFolder, GivesBackWhatWasSaved) {
  const TemporaryFolder folder;
  const Model saved = small_model();
  save_model(folder.path(), saved);
  const Model loaded = load_model(folder.path());
  EXPECT_EQ(loaded.card.model.depth, 18);
  EXPECT_EQ(loaded.card.model.stem, Stem::small);
  EXPECT_EQ(loaded.card.model.width, 8);
  EXPECT_EQ(loaded.card.model.image_size, 16);
  EXPECT_EQ(loaded.card.tags, 5);
  EXPECT_EQ(loaded.card.vocabulary, "the vocabulary's hash");
  expect_same_bytes(loaded.weights, saved.weights);
}

TEST(ModelFolder, EqualModelsAreEqualBytes) {
  const TemporaryFolder a, b;
  save_model(a.path(), small_model());
  save_model(b.path(), load_model(a.path()));
  for (const char* name : {"model.safetensors", "model.yaml"}) {
    EXPECT_EQ(read_file(a / name), read_file(b / name)) << name;
  }
}

TEST(ModelFolder, CardSaysWhatImagesBecomeAndWhatScoresMean) {
  const TemporaryFolder folder;
  Model model = small_model();
  model.card.loss = LossKind::sigmoid;
  model.card.model.input.mean = {0.5, 0.25, 0.125};
  model.card.model.input.crop_share = 0.875;
  save_model(folder.path(), model);
  const std::string text = read_file(folder / "model.yaml");
  for (const char* line : {"format: \"hardmoe model 2\"", "mean: [0.5, 0.25, 0.125]",
                           "deviation: [0.229, 0.224, 0.225]", "crop_share: 0.875",
                           "resampling: \"antialiased_bilinear\"", "loss: \"sigmoid\""}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << " is not in\n" << text;
  }
  const Model loaded = load_model(folder.path());
  EXPECT_EQ(loss_of(folder.path()), LossKind::sigmoid);  // without a stage.json
  const Network network = resnet(loaded.card.model, 0);
  EXPECT_EQ(network.mean[0], 127.5F);
  EXPECT_EQ(network.mean[2], 31.875F);
  EXPECT_EQ(network.crop_share, 0.875);
}

TEST(ModelFolder, NewModelsAreNormalisedByTheConstantsOfBefore) {
  const Network constants, network = resnet({.depth = 18, .width = 8}, 0);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(network.mean[c], constants.mean[c]);  // to the bit
    EXPECT_EQ(network.deviation[c], constants.deviation[c]);
  }
}

TEST(ModelFolder, InputsThatNoNetworkTakesAreNamed) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& input, const std::vector<std::string>& words) {
    save_model(folder.path(), small_model());
    std::string text = read_file(folder / "model.yaml");
    const size_t at = text.find("input:"), end = text.find("tags:");
    write_file_atomic(folder / "model.yaml", text.replace(at, end - at, input + "\n"));
    expect_error([&] { load_model(folder.path()); }, words, ExitStatus::usage);
  };
  refused("input: {mean: [0.5, 0.5]}", {"model.yaml", "'input.mean'", "3 numbers", "0.5, 0.5"});
  refused("input: {deviation: [1, 1, 0]}", {"model.yaml", "input.deviation", "found 0"});
  refused("input: {crop_share: 1.5}", {"model.yaml", "input.crop_share", "found 1.5"});
  refused("input: {resampling: bicubic}", {"model.yaml", "'input.resampling'", "bicubic"});
  refused("input: {crop: 224}", {"model.yaml", "unknown key 'input.crop'"});
}

TEST(ModelFolder, WeightsMustFitTheArchitecture) {
  const TemporaryFolder folder;
  Model model = small_model();
  model.card.model.width = 16;
  save_model(folder.path(), model);
  expect_error([&] { load_model(folder.path()); },
               {"model.safetensors", "conv1.weight", "8×3×3×3", "16×3×3×3"});
  model = small_model();
  model.card.tags = 6;
  save_model(folder.path(), model);
  expect_error([&] { load_model(folder.path()); }, {"model.safetensors", "fc.weight", "5×64"});
  model = small_model();
  model.weights.erase("layer3.0.bn1.running_var");
  save_model(folder.path(), model);
  expect_error([&] { load_model(folder.path()); }, {"layer3.0.bn1.running_var"});
}

TEST(ModelFolder, MissingAndDamagedFilesAreNamed) {
  const TemporaryFolder folder;
  expect_error([&] { load_model(folder.path()); }, {"model.yaml", "moe-train-base"},
               ExitStatus::usage);
  save_model(folder.path(), small_model());
  const std::string weights = read_file(folder / "model.safetensors");
  write_file_atomic(folder / "model.safetensors", weights.substr(0, weights.size() / 2));
  expect_error([&] { load_model(folder.path()); }, {(folder / "model.safetensors").string()});
  std::filesystem::remove(folder / "model.safetensors");
  expect_error([&] { load_model(folder.path()); }, {(folder / "model.safetensors").string()});
  write_file_atomic(folder / "model.yaml", "model: {depht: 18}\n");
  expect_error([&] { load_model(folder.path()); }, {"model.yaml, line 1", "'model.depth'"},
               ExitStatus::usage);
}

TEST(ModelFolder, OtherNetworksHaveAFormatAndSettingsOfTheirOwn) {
  const TemporaryFolder folder;
  ModelConfig config{.image_size = 16, .architecture = Architecture::vit};
  config.vit = {.width = 16, .depth = 2, .heads = 2, .patch_size = 8, .pooling = VitPooling::mean};
  const Model saved{{config, 5, "hash"}, initial_weights(network_of(config, 5), 7)};
  save_model(folder.path(), saved);
  const std::string text = read_file(folder / "model.yaml");
  EXPECT_NE(text.find("format: \"hardmoe model 4\""), std::string::npos) << text;
  EXPECT_EQ(text.find("stem"), std::string::npos) << text;
  const Model loaded = load_model(folder.path());
  EXPECT_TRUE(is_same_network(loaded.card, saved.card));
  EXPECT_EQ(loaded.card.model.vit.pooling, VitPooling::mean);
  expect_same_bytes(loaded.weights, saved.weights);
  ModelCard sparse = small_model().card;
  sparse.model.sparse = {.kind = SparseKind::pavlitska, .experts = 3, .stages = {3, 4}};
  save_model(folder.path(), {sparse, {}});
  const ModelCard again = load_model_card(folder.path());
  EXPECT_TRUE(is_same_network(again, sparse));
  EXPECT_EQ(again.model.sparse.experts, 3);
  EXPECT_EQ(again.model.sparse.stages, (std::vector<double>{3, 4}));
  EXPECT_FALSE(is_same_network(again, small_model().card));
}

TEST(ModelFolder, VocabularyHashIsTheSha256OfItsLines) {
  // printf 'b\na' | sha256sum
  EXPECT_EQ(vocabulary_hash({{"b", "a"}, {2, 1}}),
            "c4a78e5bdf318c857b19a6ae4678d9fc8ab0d9bf2b7dd11b41a06c4c1047d943");
}

}  // namespace
}  // namespace hardmoe
