// A dataset's files damaged in any way: errors, never worse.
#include "data/dataset.h"

#include <gtest/gtest.h>

#include "data/augment.h"
#include "data/small_dataset.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class DatasetTest : public testing::Test {
 protected:
  DatasetTest() {
    fs::create_directories(folder_ / "in/t");
    TarWriter tar(folder_ / "in/t.tar");
    for (int i = 0; i < 12; ++i) {
      tar.add(fmt::format("{}.png", i), encode_png(numbered_image(i, 3, 3)));
      tar.add(fmt::format("{}.json", i),
              fmt::format(R"({{"tags": ["a", "b{}"], "truth": ["a"]}})", i % 3));
    }
    tar.finish();
    IngestOptions options;
    options.sources = {(folder_ / "in/t.tar").string()};
    options.out = out_;
    options.val_fraction = 0.3;
    options.storage = ShardStorage::copy;
    ingest(options);
  }

  TemporaryFolder folder_;
  fs::path out_ = folder_ / "out";
};

/// Touches everything there is.
int64_t read_all(const fs::path& folder) {
  const Dataset data = Dataset::open(folder);
  int64_t sum = 0;
  for (const char* name : {"train", "val"}) {
    const Split& split = data.split(name);
    for (int64_t i = 0; i < split.size(); ++i) {
      for (const int32_t id : split.tags(i))
        sum += data.vocabulary().counts[static_cast<size_t>(id)];
      if (split.has_truth()) sum += static_cast<int64_t>(split.truth(i).size());
      sum += static_cast<int64_t>(split.key(i).size());
      sum += decode_image(split.image(i)).size(0);
    }
  }
  return sum;
}

TEST_F(DatasetTest, MovesWithItsFolder) {
  const int64_t sum = read_all(out_);
  const std::string fingerprint = Dataset::open(out_).fingerprint();
  fs::rename(out_, folder_ / "moved");
  EXPECT_EQ(read_all(folder_ / "moved"), sum);
  EXPECT_EQ(Dataset::open(folder_ / "moved").fingerprint(), fingerprint);
}

TEST_F(DatasetTest, MissingAndInconsistentFilesAreNamed) {
  expect_error([&] { Dataset::open(folder_ / "nothing"); }, {"dataset.json", "moe-ingest"},
               ExitStatus::usage);
  for (const char* name : {"train/shard.npy", "val/tag_ptr.npy", "train/keys.txt", "tags.tsv",
                           "train/truth_ids.npy", "shards/train-000000.tar"}) {
    const std::string bytes = read_file(out_ / name);
    fs::remove(out_ / name);
    expect_error([&] { read_all(out_); }, {name});
    write_file_atomic(out_ / name, bytes);
  }
  save_npy(out_ / "train/length.npy", std::vector<int32_t>{1, 2, 3});
  expect_error([&] { Dataset::open(out_); }, {"length.npy", "holds 3"});
  save_npy(out_ / "train/length.npy", std::vector<int64_t>(12));
  expect_error([&] { Dataset::open(out_); }, {"length.npy", "int64"});
}

TEST_F(DatasetTest, MutatedFilesNeverDoMoreThanThrow) {
  Random random(3, RandomUse::test);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(out_)) {
    if (entry.is_regular_file() && entry.file_size() > 0) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  ASSERT_GE(files.size(), 18U);
  int refused = 0;
  for (const auto& file : files) {
    const std::string whole = read_file(file);
    for (int trial = 0; trial < 40; ++trial) {
      overwrite(file, mutated(whole, random));
      try {
        read_all(out_);
      } catch (const Error&) {
        ++refused;
      }
    }
    overwrite(file, whole);
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read_all(out_), 0);
}

}  // namespace
}  // namespace hardmoe
