// A dataset's files damaged in any way: errors, never worse.
#include "data/dataset.h"

#include <gtest/gtest.h>

#include <array>

#include "base/json.h"
#include "data/loader.h"
#include "expect_error.h"
#include "image/augment.h"
#include "ingest/verify.h"
#include "small_dataset.h"
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

/// Changes the file's last four bytes, looks, and puts them back.
template <class Look>
void with_damage(const fs::path& file, const Look& look) {
  const std::string whole = read_file(file);
  std::string bytes = whole;
  for (size_t i = bytes.size() - 4; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
  overwrite(file, bytes);
  look();
  overwrite(file, whole);
}

TEST_F(DatasetTest, EveryFileOfTheIndexIsComparedBeforeItIsUsed) {
  for (const char* name : {"shard.npy", "offset.npy", "length.npy", "tag_ptr.npy", "tag_ids.npy",
                           "truth_ptr.npy", "truth_ids.npy", "keys.txt"}) {
    with_damage(out_ / "train" / name, [&] {
      const auto load = [&] {
        const Dataset data = Dataset::open(out_);
        LoaderOptions options;
        options.batch = 2;
        options.image_size = 3;
        const Loader loader(data.split("train"), {}, options);
      };
      expect_error(load, {name});
    });
  }
  const Dataset data = Dataset::open(out_);
  with_damage(out_ / "train/keys.txt", [&] {
    expect_error([&] { data.split("train").require_index(); },
                 {"train/keys.txt: damaged or replaced", "SHA-256", "moe-ingest"});
    data.split("val").require_index();
  });
  with_damage(out_ / "tags.tsv", [&] { expect_error([&] { Dataset::open(out_); }, {"tags.tsv"}); });
  const std::string json = read_file(out_ / "dataset.json");
  std::string changed = json;
  changed.replace(changed.find("\"seed\": 1"), 9, "\"seed\": 2");
  overwrite(out_ / "dataset.json", changed);
  expect_error([&] { Dataset::open(out_); }, {"dataset.json: damaged or replaced", "moe-ingest"});
}

TEST_F(DatasetTest, NamesLeadOutOfNoFolder) {
  fs::remove(out_ / "stage.json");  // which knows the checksum
  const Json whole = read_json(out_ / "dataset.json");
  fs::copy(out_ / "train", folder_ / "evil");
  for (const std::string name : {"../evil", "/tmp/evil", "train/../../evil", "..", ""}) {
    Json record = whole;
    record["splits"][name] = record["splits"]["train"];
    write_json(out_ / "dataset.json", record);
    expect_error([&] { Dataset::open(out_); }, {"dataset.json", "plain name"});
    record = whole;
    record["splits"]["train"]["files"][name] = std::string(64, '0');
    write_json(out_ / "dataset.json", record);
    expect_error([&] { Dataset::open(out_); }, {"dataset.json", "plain name"});
  }
}

TEST_F(DatasetTest, ForeignValuesInTheRecordAreNamed) {
  const Json stage = read_json(out_ / "stage.json"), whole = read_json(out_ / "dataset.json");
  for (const auto& [field, value, words] : std::initializer_list<std::array<std::string, 3>>{
           {"/splits", "[]", "field 'splits' holds array, expected object"},
           {"/splits/train", "7", "field 'images' is missing"},
           {"/splits/train/files", "7", "field 'files' holds number, expected object"},
           {"/splits/train/files/keys.txt", "7", "field 'files' holds number, expected string"},
           {"/splits/train/crc32c", "[1]", "field 'crc32c' holds array, expected object"},
           {"/shards", "{}", "field 'shards' holds object, expected array"},
           {"/shards/0/path", "[]", "field 'path' holds array, expected string"},
           {"/shards/0/bytes", "\"a\"", "field 'bytes' is not a whole number"}}) {
    Json record = whole;
    record[Json::json_pointer(field)] = Json::parse(value);
    write_json(out_ / "dataset.json", record);
    for (const bool recorded : {true, false}) {  // moe-ingest --verify needs the stage's record
      fs::remove(out_ / "stage.json");
      if (recorded) write_json(out_ / "stage.json", stage);
      expect_error([&] { recorded ? void(verify_dataset(out_)) : void(Dataset::open(out_)); },
                   {"dataset.json: ", words});
    }
  }
  write_json(out_ / "dataset.json", whole);
  Json record = stage;
  record["outputs"] = {{"dataset.json", 7}};
  write_json(out_ / "stage.json", record);
  expect_error([&] { verify_dataset(out_); }, {"stage.json: ", "'outputs'", "text"});
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
