// What an expert sees besides its part, how long it trains and when it is stopped: whole stages on
// a few images.
#include <gtest/gtest.h>

#include "base/stage.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "moe/partition.h"
#include "small_dataset.h"
#include "tasks/embed.h"
#include "tasks/partition.h"
#include "tasks/train_base.h"
#include "tasks/train_expert.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

/// A dataset with a split 'selection', a base, its embedding and a partition among two experts.
class ExpertLevers : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::make_unique<TemporaryFolder>();
    write_numbered_tar(*folder / "a.tar", 120, 10, 12);
    IngestOptions ingesting;
    ingesting.sources = {(*folder / "a.tar").string()};
    ingesting.out = *folder / "plain";
    ingest(ingesting);
    ingesting.out = *folder / "data";
    ingesting.selection_fraction = 0.2;
    ingest(ingesting);
    Config config = settings();
    train_base({data(), at("base"), false}, config);
    EmbedTask embedding;
    embedding.dataset = data();
    embedding.networks.model = at("base");
    embedding.out = at("embedding");
    embed_images(embedding, config);
    PartitionTask dividing;
    dividing.inputs = {at("embedding")};
    dividing.out = at("partition");
    make_partition(dividing, config, [](const std::string&) {});
    config.partition.method = PartitionMethod::random;
    dividing.out = at("random");
    make_partition(dividing, config, [](const std::string&) {});
    partition = std::make_unique<Partition>(load_partition(at("partition")));
    images = Dataset::open(data()).split("train").size();
  }
  static void TearDownTestSuite() {
    partition.reset();
    folder.reset();
  }

  static std::string at(const std::string& name) { return (*folder / name).string(); }
  static std::string data() { return at("data"); }

  static Config settings() {
    Config config;
    config.model.width = 8;
    config.model.image_size = 16;
    config.base.epochs = config.expert.epochs = 1;
    config.base.batch = config.expert.batch = 8;
    config.base.lr = config.expert.lr = 0.01;
    config.partition.experts = 2;
    config.partition.pca = 8;
    return config;
  }

  static TrainExpertTask task(const std::string& expert = "1") {
    TrainExpertTask task;
    task.dataset = data();
    task.base = at("base");
    if (expert != "all") task.partition = at("partition");
    task.expert = expert;
    task.out = at("out" + std::to_string(++outputs));
    return task;
  }

  static Json results(const TrainExpertTask& task, Config config) {
    return parse_json(train_expert(task, config), "the results");
  }

  static int64_t part() { return partition->sizes[1]; }

  static std::unique_ptr<TemporaryFolder> folder;
  static std::unique_ptr<Partition> partition;
  static int64_t images;
  static int outputs;
};
std::unique_ptr<TemporaryFolder> ExpertLevers::folder;
std::unique_ptr<Partition> ExpertLevers::partition;
int64_t ExpertLevers::images = 0;
int ExpertLevers::outputs = 0;

TEST_F(ExpertLevers, ImagesFromOutsideAreAShareOfTheEpoch) {
  Config config = settings();
  const auto plain = task();
  EXPECT_EQ(results(plain, config)["images"], part());
  config.expert.outside = 0.25;
  const int64_t expected = part() + std::llround(static_cast<double>(part()) / 3);
  EXPECT_EQ(results(task(), config)["images"], expected);
  config.expert.outside_from = OutsideFrom::nearest;
  config.expert.outside_weight = 0.5;
  auto near = task();
  expect_error([&] { results(near, config); }, {"outside_from", "--embedding"}, ExitStatus::usage);
  near.embedding = {at("embedding")};
  EXPECT_EQ(results(near, config)["images"], expected);
  config.expert.outside = 0.9;  // more than there are
  near.out = at("most");
  EXPECT_EQ(results(near, config)["images"], images);
  Config unlike = settings();
  unlike.expert.outside = 0.5;
  expect_error([&] { results(plain, unlike); }, {"outside"}, ExitStatus::usage);
}

TEST_F(ExpertLevers, OverlapAddsImagesNearThePart) {
  Config config = settings();
  config.expert.overlap = 2;  // of two
  auto both = task();
  both.embedding = {at("embedding")};
  EXPECT_EQ(results(both, config)["images"], images);
  both.out = at("at random");
  both.partition = at("random");
  both.embedding = {};  // nothing is near there
  EXPECT_EQ(results(both, config)["images"], images);
  config.expert.overlap = 3;
  expect_error([&] { results(both, config); }, {"expert.overlap", "2 experts", "found 3"},
               ExitStatus::usage);
  config = settings();
  config.expert.outside = 0.5;
  config.expert.outside_from = OutsideFrom::nearest;
  expect_error([&] { results(both, config); }, {"outside_from", "at random", "take all"},
               ExitStatus::usage);
}

TEST_F(ExpertLevers, EpochsOfTheDatasetGiveItsSteps) {
  Config config = settings();
  config.expert.epochs = 1.5;
  EXPECT_EQ(results(task(), config)["steps"], std::llround(1.5 * static_cast<double>(part() / 8)));
  config.expert.epochs_of = EpochsOf::dataset;
  const int64_t steps = std::llround(1.5 * static_cast<double>(images / 8));
  EXPECT_EQ(results(task(), config)["steps"], steps);
  EXPECT_EQ(results(task("all"), config)["steps"], steps);
}

TEST_F(ExpertLevers, AnEarlyStopIsByTheExpertsSelectionImages) {
  Config config = settings();
  config.expert.epochs = 3;
  config.expert.judging.patience = 1;
  const auto stopping = task();
  const Json found = results(stopping, config);
  EXPECT_GT(found["selection_loss"].get<double>(), 0);
  EXPECT_EQ(found["best_step"].get<int64_t>() % (part() / 8), 0);
  EXPECT_EQ(results(stopping, config), found) << "done already";
  const Json all = results(task("all"), config);
  EXPECT_NE(all["selection_loss"], found["selection_loss"]) << "on every image of the split";
  Config base = settings();
  base.base.judging.patience = 1;
  expect_error(
      [&] {
        train_base({at("plain"), at("none"), false}, base);
      },
      {"base.patience", "selection", "--selection-fraction"}, ExitStatus::usage);
  EXPECT_FALSE(fs::exists(at("none"))) << "told before the folder is taken";
  EXPECT_TRUE(parse_json(train_base({data(), at("base2"), false}, base), "base")
                  .contains("selection_loss"));
}

TEST_F(ExpertLevers, LeftAloneTheyAreNotRecorded) {
  const auto plain = task();
  results(plain, settings());
  const Json inputs = stage_inputs(plain.out, "moe-train-expert");
  for (const char* key : {"patience", "outside", "overlap", "epochs_of", "lr_by_size"}) {
    EXPECT_FALSE(inputs["expert"].contains(key)) << key;
  }
  EXPECT_FALSE(inputs.contains("partition"));
}

}  // namespace
}  // namespace hardmoe
