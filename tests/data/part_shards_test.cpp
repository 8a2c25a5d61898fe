// Laying a dataset out by parts: the same items from other places.
#include "data/part_shards.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "base/text.h"
#include "data/loader.h"
#include "expect_error.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

/// What the system's tar lists.
std::vector<std::string> members(const fs::path& file) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(
      ::popen(fmt::format("tar -tf '{}'", file.string()).c_str(), "r"), ::pclose);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    text.push_back(static_cast<char>(c));
  }
  auto names = split(text, '\n');
  if (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

class PartShards : public testing::Test {
 protected:
  static constexpr int images = 40;

  PartShards() {
    write_numbered_tar(folder_ / "a.tar", images, 10, 12);
    write_numbered_tar(folder_ / "v.tar", 5, 10, 12);
    IngestOptions ingesting;
    ingesting.sources = {(folder_ / "a.tar").string()};
    ingesting.val_sources = {(folder_ / "v.tar").string()};
    ingesting.out = folder_ / "data";
    ingesting.duplicates = Duplicates::keep;  // v.tar repeats some of a.tar
    ingest(ingesting);
    data_ = std::make_unique<Dataset>(Dataset::open(folder_ / "data"));
    for (int64_t i = 0; i < images; ++i) parts_[static_cast<size_t>(i * i % 3)].push_back(i);
  }

  const Split& train() const { return data_->split("train"); }
  fs::path out() const { return folder_ / "parts"; }
  PartShardsResult lay_out(int64_t shard_bytes = 20000) const {
    return write_part_shards(*data_, parts_, out(), shard_bytes);
  }

  TemporaryFolder folder_;
  std::unique_ptr<Dataset> data_;
  std::vector<std::vector<int64_t>> parts_{3};
};

TEST_F(PartShards, ItemsAreTheSameAndEachPartsLieTogether) {
  const PartShardsResult result = lay_out();
  EXPECT_EQ(result.images, images + 5);
  EXPECT_EQ(result.reused, 0);
  const Dataset laid_out = Dataset::open(out());
  EXPECT_EQ(laid_out.fingerprint(), data_->fingerprint());
  EXPECT_EQ(laid_out.vocabulary().tags, data_->vocabulary().tags);
  for (const char* name : {"train", "val"}) {
    const Split& before = data_->split(name);
    const Split& after = laid_out.split(name);
    ASSERT_EQ(after.size(), before.size());
    for (int64_t i = 0; i < before.size(); ++i) {
      EXPECT_TRUE(std::ranges::equal(after.image(i), before.image(i)));
      EXPECT_TRUE(std::ranges::equal(after.tags(i), before.tags(i)));
      EXPECT_EQ(after.key(i), before.key(i));
    }
  }
  // By the system's tar: part by part, in order, nothing else.
  int64_t shards = 0;
  for (size_t part = 0; part < parts_.size(); ++part) {
    std::vector<std::string> found, expected;
    for (int number = 0;; ++number) {
      const fs::path file = out() / fmt::format("shards/part-{:05}-{:06}.tar", part, number);
      if (!fs::exists(file)) break;
      EXPECT_LE(fs::file_size(file), 20000 + 10240U);
      const auto names = members(file);
      found.insert(found.end(), names.begin(), names.end());
      ++shards;
    }
    for (const int64_t item : parts_[part]) {
      expected.push_back(train().key(item) + ".png");
      expected.push_back(train().key(item) + ".json");
    }
    EXPECT_EQ(found, expected);
  }
  EXPECT_GT(shards, 3) << "parts are of several shards each";
  EXPECT_EQ(shards + 1, result.shards);
}

TEST_F(PartShards, AShardIsADatasetsSourceOfItsOwn) {
  lay_out(1 << 30);
  IngestOptions again;
  again.sources = {(out() / "shards/part-00001-000000.tar").string()};
  again.out = folder_ / "again";
  ingest(again);
  const Dataset one = Dataset::open(again.out);
  const Split& split = one.split("train");
  ASSERT_EQ(split.size(), static_cast<int64_t>(parts_[1].size()));
  for (int64_t i = 0; i < split.size(); ++i) {
    std::set<std::string> tags, expected;
    for (const int32_t id : split.tags(i))
      tags.insert(one.vocabulary().tags[static_cast<size_t>(id)]);
    for (const int32_t id : train().tags(parts_[1][static_cast<size_t>(i)])) {
      expected.insert(data_->vocabulary().tags[static_cast<size_t>(id)]);
    }
    EXPECT_EQ(tags, expected);
  }
}

TEST_F(PartShards, APartLoadsTheSameWithoutTheOthersShards) {
  lay_out();
  for (const auto& entry : fs::directory_iterator(out() / "shards")) {
    if (!entry.path().filename().string().starts_with("part-00001")) fs::remove(entry.path());
  }
  const Dataset local = Dataset::open(out());
  LoaderOptions options;
  options.batch = 4;
  options.image_size = 8;
  Loader whole(train(), parts_[1], options);
  Loader part(local.split("train"), parts_[1], options);
  whole.start(3);
  part.start(3);
  int batches = 0;
  while (const Batch* expected = whole.next()) {
    const Batch* found = part.next();
    ASSERT_NE(found, nullptr);
    EXPECT_TRUE(std::ranges::equal(found->input.as<uint8_t>(), expected->input.as<uint8_t>()));
    EXPECT_EQ(found->tag_ids, expected->tag_ids);
    ++batches;
  }
  EXPECT_GT(batches, 2);
  Loader other(local.split("train"), parts_[0], options);
  other.start(0);
  expect_error([&] { other.next(); }, {"part-00000", "not on this machine", "copy it"});
}

TEST_F(PartShards, AnInterruptedCallGoesOn) {
  const PartShardsResult first = lay_out();
  const std::string expected = read_file(out() / "dataset.json");
  fs::remove(out() / "dataset.json");
  fs::remove(out() / "shards/part-00001-000000.tar");
  const PartShardsResult second = lay_out();
  EXPECT_EQ(second.shards, first.shards);
  EXPECT_EQ(second.reused, first.shards - 1);
  EXPECT_EQ(read_file(out() / "dataset.json"), expected);
}

TEST_F(PartShards, AShardThatIsNotAsItWouldBeIsWrittenAgain) {
  const PartShardsResult first = lay_out();
  const std::string expected = read_file(out() / "dataset.json");
  const fs::path shard = out() / "shards/part-00001-000000.tar";
  const std::string whole = read_file(shard);
  std::string damaged = whole;
  damaged[whole.size() - 1] = 'x';  // in the padding
  overwrite(shard, damaged);
  fs::copy_file(out() / "shards/val-000000.tar", out() / "shards/part-00000-000000.tar",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(lay_out().reused, first.shards - 2);
  EXPECT_EQ(read_file(shard), whole);
  EXPECT_EQ(read_file(out() / "dataset.json"), expected);
}

}  // namespace
}  // namespace hardmoe
