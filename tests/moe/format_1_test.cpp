// Results that hardmoe 0.1.0 wrote before its files carried format numbers (tests/files/format_1)
// are read as they were meant, and files of a newer format than is known are refused.
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "moe/mixture.h"
#include "temporary_folder.h"
#include "test_files.h"
#include "train/decoder_folder.h"
#include "train/probability.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class Format1 : public testing::Test {
 protected:
  Format1() { fs::copy(test_file("format_1"), folder_ / "run", fs::copy_options::recursive); }
  fs::path in(const std::string& name) const { return folder_ / "run" / name; }

  /// Replaces the first `was` in the file, which must be there.
  void replace(const std::string& name, const std::string& was, const std::string& is) const {
    std::string text = read_file(in(name));
    const size_t at = text.find(was);
    ASSERT_NE(at, std::string::npos) << name << " has no " << was;
    write_file_atomic(in(name), text.replace(at, was.size(), is));
  }

  TemporaryFolder folder_;
};

TEST_F(Format1, DatasetKeepsItsIdentity) {
  const Dataset dataset = Dataset::open(in("data"));
  EXPECT_EQ(dataset.split("train").size(), 17);
  EXPECT_EQ(dataset.split("val").size(), 7);
  EXPECT_EQ(dataset.vocabulary().size(), 5);
  EXPECT_TRUE(dataset.split("train").has_truth());
  EXPECT_NO_THROW(dataset.split("train").require_index());
  // sha256sum data/dataset.json; the base was trained on it.
  EXPECT_EQ(dataset.fingerprint(),
            "f8eb18c8674c6c6aa1819c9ef627564bceecb160da3016a818865334881f368a");
  EXPECT_EQ(stage_inputs(in("base"), "moe-train-base").at("dataset"), dataset.fingerprint());
}

TEST_F(Format1, AFinishedStageIsFoundDone) {
  for (const auto& [name, command] :
       {std::pair("partition", "moe-partition"), std::pair("embedding", "moe-embed"),
        std::pair("decoder", "moe-train-decoder")}) {
    const Json inputs = stage_inputs(in(name), command);
    const std::string before = read_file(in(name) / "stage.json");
    const Stage stage({.folder = in(name), .command = command, .inputs = inputs});
    EXPECT_TRUE(stage.done()) << name;
    EXPECT_EQ(read_file(in(name) / "stage.json"), before) << name;
  }
}

TEST_F(Format1, AnUnfinishedStageGoesOn) {
  Json record = read_json(in("partition/stage.json"));
  record["done"] = false;
  for (const char* key : {"outputs", "crc32c", "results", "seconds"}) record.erase(key);
  record["kept"] = {{"assignment.npy", sha256_of_file(in("partition/assignment.npy"))}};
  write_json(in("partition/stage.json"), record);
  Stage stage({.folder = in("partition"), .command = "moe-partition", .inputs = record["inputs"]});
  EXPECT_FALSE(stage.done());
  EXPECT_TRUE(stage.has_kept("assignment.npy"));
  stage.finish({"assignment.npy"}, Json::object());
  EXPECT_EQ(read_json(in("partition/stage.json"))["format"], "hardmoe stage 1");
}

TEST_F(Format1, ModelCardMeansImageNetsNormalisationAndTheLossOfItsStage) {
  const ModelCard card = load_model_card(in("base"));
  EXPECT_EQ(card.model.depth, 18);
  EXPECT_EQ(card.model.width, 8);
  EXPECT_EQ(card.tags, 5);
  EXPECT_EQ(card.model.input.mean, (std::array<double, 3>{0.485, 0.456, 0.406}));
  EXPECT_EQ(card.model.input.deviation, (std::array<double, 3>{0.229, 0.224, 0.225}));
  EXPECT_EQ(card.model.input.crop_share, 1);
  EXPECT_EQ(card.loss, LossKind::sigmoid);
  EXPECT_EQ(loss_of(in("base")), LossKind::sigmoid);
  // An expert trained now goes with a base of then.
  ModelCard now = card;
  now.format = format_text(model_format);
  now.loss = LossKind::softmax;
  EXPECT_TRUE(is_same_network(card, now));
  now.model.input.mean[0] = 0.5;
  EXPECT_FALSE(is_same_network(card, now));
}

TEST_F(Format1, PartitionRoutesAsItDid) {
  const Partition partition = load_partition(in("partition"));
  EXPECT_EQ(partition.sizes, (std::vector<int64_t>{9, 8}));
  const Tensor features = load_npy(in("embedding/train.npy"));
  EXPECT_EQ(partition.gater.route(matrix_view(features)), partition.assignment);
  save_partition(folder_.path(), partition);
  EXPECT_EQ(read_json(folder_ / "partition.json")["format"], "hardmoe partition 1");
  Metadata metadata;
  load_safetensors(folder_ / "gater.safetensors", &metadata);
  EXPECT_EQ(metadata["format"], "hardmoe gater 1");
}

TEST_F(Format1, DecoderHasItsLossInItsStage) {
  const StateDict weights = load_decoder(in("decoder"), 64, 5);
  EXPECT_EQ(weights.size(), 2U);
  EXPECT_EQ(loss_of(in("decoder")), LossKind::sigmoid);
  expect_error([&] { load_decoder(in("decoder"), 64, 6); }, {"decoder.safetensors", "fc.weight"});
}

TEST_F(Format1, NewerFormatsAreRefused) {
  const std::string update = "update hardmoe";
  fs::remove(in("data/stage.json"));
  replace("data/dataset.json", "hardmoe dataset 1", "hardmoe dataset 2");
  expect_error([&] { Dataset::open(in("data")); },
               {in("data/dataset.json"), "'hardmoe dataset 2'", "'hardmoe dataset 1'", update});

  const Json inputs = stage_inputs(in("embedding"), "moe-embed");
  replace("embedding/stage.json", "{", R"({"format": "hardmoe stage 2",)");
  for (const bool force : {false, true}) {
    expect_error(
        [&] {
          Stage({in("embedding"), "moe-embed", inputs, force});
        },
        {in("embedding/stage.json"), "'hardmoe stage 2'", "'hardmoe stage 1'", update});
  }
  expect_error([&] { stage_inputs(in("embedding"), "moe-embed"); }, {"'hardmoe stage 2'", update});
  expect_error([&] { require_as_recorded(in("embedding/train.npy")); }, {"'hardmoe stage 2'"});
  EXPECT_TRUE(fs::exists(in("embedding/train.npy")));

  fs::remove(in("base/stage.json"));
  write_file_atomic(in("base/model.yaml"), "format: hardmoe model 5\nquantised: true\n" +
                                               read_file(in("base/model.yaml")));
  expect_error([&] { load_model(in("base")); },
               {in("base/model.yaml"), "'hardmoe model 5'", "'hardmoe model 4'", update});

  fs::remove(in("decoder/stage.json"));
  write_file_atomic(in("decoder/decoder.yaml"), "format: hardmoe decoder 4\n");
  expect_error([&] { load_decoder(in("decoder"), 64, 5); },
               {in("decoder/decoder.yaml"), "'hardmoe decoder 4'", "'hardmoe decoder 3'", update});

  fs::remove(in("partition/stage.json"));
  Metadata metadata;
  const fs::path gater = in("partition/gater.safetensors");
  const StateDict tensors = load_safetensors(gater, &metadata);
  metadata["format"] = "hardmoe gater 2";
  save_safetensors(gater, tensors, metadata);
  expect_error([&] { load_partition(in("partition")); },
               {gater, "'hardmoe gater 2'", "'hardmoe gater 1'", update});
  replace("partition/partition.json", "{", R"({"format": "hardmoe partition 2",)");
  expect_error([&] { load_partition(in("partition")); },
               {in("partition/partition.json"), "'hardmoe partition 2'", update});
}

}  // namespace
}  // namespace hardmoe
