// Ingests that are killed, that meet what cannot be read, and that are checked afterwards.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <map>
#include <thread>

#include "base/crc32c.h"
#include "base/recorded.h"
#include "base/text.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "ingest/ingest.h"
#include "ingest/verify.h"
#include "killed_process.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

/// Every file of a dataset but the lock and stage.json (which tells the time), by name.
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    if (entry.is_regular_file() && name != ".lock" && name != "stage.json") {
      files[name] = read_file(entry.path());
    }
  }
  return files;
}

/// A list of images with duplicates, images that are missing, and two that are not images.
IngestOptions mixed_sources(const TemporaryFolder& folder) {
  std::string list;
  for (int i = 0; i < 240; ++i) {
    const std::string name = fmt::format("{}.png", i);
    if (i % 60 != 7) {
      overwrite(folder / name, i % 60 == 9
                                   ? "no image"
                                   : encode_png(numbered_image(i % 200, 40, 40 + i % 200 % 3)));
    }
    list += json_of(name, {"all", fmt::format("t{}", i % 7), fmt::format("rare{}", i)});
  }
  overwrite(folder / "list.jsonl", list);
  write_numbered_tar(folder / "a.tar", 50, 5, 5);
  IngestOptions options;
  options.sources = {(folder / "list.jsonl").string(), (folder / "a.tar").string()};
  options.out = folder / "out";
  options.val_fraction = 0.2;
  options.resize = 24;
  options.max_bad = 1;
  options.shard_bytes = 30000;
  options.checkpoint_seconds = 0.01;
  return options;
}

/// Runs the ingest in a process of its own and kills it after that time. Whether it came to its
/// end.
bool ends_within(const IngestOptions& options, std::chrono::microseconds time) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ingest(options);
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  const auto deadline = std::chrono::steady_clock::now() + time;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(IngestSurvival, KilledAtAnyMomentItEndsWithTheSameBytes) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  options.selection_fraction = 0.1;
  options.sample = 0.9;
  options.out = folder / "whole";
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(ends_within(options, std::chrono::minutes(5)));
  const auto whole_time = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begin);
  const auto expected = files_of(options.out);
  EXPECT_TRUE(expected.contains("shards/train-000003.tar"));
  EXPECT_TRUE(expected.contains("shards/val-000000.tar"));
  EXPECT_TRUE(expected.contains("shards/selection-000000.tar"));

  Random random(7, RandomUse::test);
  for (const int round : {0, 1}) {
    options.out = folder / fmt::format("killed{}", round);
    int kills = 0;
    // Longer and longer, so that it ends; the first ones hardly begin.
    for (double share = 0.05;; share *= 1.15) {
      const auto time = std::chrono::microseconds(static_cast<int64_t>(
          static_cast<double>(whole_time.count()) * share * random.uniform_double()));
      if (ends_within(options, time)) break;
      ++kills;
    }
    EXPECT_GE(kills, 5);
    EXPECT_EQ(files_of(options.out), expected) << "after " << kills << " kills";
  }
}

/// Those of a finished ingest, without the work that --retry-failed would go on with.
std::map<std::string, std::string> results_of(const fs::path& folder) {
  auto files = files_of(folder);
  std::erase_if(files, [](const auto& file) { return file.first.starts_with("work/"); });
  return files;
}

/// What another run left: it was interrupted, or only its stage.json is gone, or both.
void leave(IngestOptions options, bool interrupted, bool recorded) {
  fs::remove_all(options.out);
  options.resize = 16;
  options.seed = 2;
  options.force = false;
  ingest(options);
  if (interrupted) fs::remove(options.out / "dataset.json");
  if (!recorded) fs::remove(options.out / "stage.json");
}

TEST(IngestSurvival, ForceBeginsFromNothing) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  options.checkpoint_seconds = 10;
  options.out = folder / "fresh";
  ingest(options);
  const auto expected = results_of(options.out);
  options.out = folder / "out";
  options.force = true;
  for (const bool interrupted : {false, true}) {
    for (const bool recorded : {false, true}) {
      leave(options, interrupted, recorded);
      EXPECT_FALSE(ingest(options).was_done);
      EXPECT_EQ(results_of(options.out), expected) << interrupted << recorded;
      EXPECT_EQ(verify_dataset(options.out).faults, Strings{});
    }
  }
}

TEST(IngestSurvival, KilledWhileForceRemovesItStillBeginsFromNothing) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  options.sources = {(folder / "a.tar").string()};
  options.out = folder / "fresh";
  ingest(options);
  const auto expected = results_of(options.out);
  options.out = folder / "out";
  int status = 137;
  for (int n = 1; status == 137; n = n + 1 + n / 8) {
    leave(options, n % 3 == 0, true);
    options.force = true;
    status = run_until_change(n, [&] { ingest(options); });
    if (status < 0) GTEST_SKIP() << "processes may not be traced here";
    const Json record = read_json(options.out / "stage.json");
    options.force = record.at("inputs").at("resize") == 16 || n % 2 == 0;  // it had not begun
    ingest(options);
    EXPECT_EQ(results_of(options.out), expected) << n;
  }
  EXPECT_EQ(status, 0);
}

TEST(IngestSurvival, AnotherRunsWorkIsNotGoneOnFrom) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  options.out = folder / "fresh";
  ingest(options);
  const auto expected = results_of(options.out);
  auto other = options;
  other.out = folder / "other";
  other.resize = 16;
  ingest(other);
  // An unfinished stage of these inputs, the work in it by whoever copied it there.
  Json record = read_json(options.out / "stage.json");
  record["done"] = false;
  options.out = folder / "out";
  fs::create_directories(options.out);
  write_json(options.out / "stage.json", record);
  fs::copy(other.out / "work", options.out / "work");
  fs::copy(other.out / "shards", options.out / "shards");
  ingest(options);
  EXPECT_EQ(results_of(options.out), expected);
}

/// As if a finished ingest had been killed before its end; work/state.json, to be changed.
Json unfinished(const fs::path& out) {
  Json record = read_json(out / "stage.json");
  record["done"] = false;
  write_json(out / "stage.json", record);
  return read_json(out / "work/state.json");
}

TEST(IngestSurvival, DamagedWorkIsNotGoneOnFrom) {
  const TemporaryFolder folder;
  const auto options = mixed_sources(folder);
  ingest(options);
  const auto expected = results_of(options.out);
  unfinished(options.out);
  for (const char* name : {"rows.bin", "tags.bin", "keys.txt", "names.txt", "united.bin",
                           "status.bin", "rejected-0.jsonl", "shards.jsonl"}) {
    const fs::path file = options.out / "work" / name;
    const std::string whole = read_file(file);
    std::string bytes = whole;
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    overwrite(file, bytes);
    expect_error([&] { ingest(options); },
                 {std::string(name) + ": ", "remove " + (options.out / "work").string()});
    overwrite(file, whole);
  }
  fs::remove_all(options.out / "work");  // as it says
  ingest(options);
  EXPECT_EQ(results_of(options.out), expected);
}

TEST(IngestSurvival, ForeignValuesInTheWorkAreNamed) {
  const TemporaryFolder folder;
  const auto options = mixed_sources(folder);
  ingest(options);
  const Json whole = unfinished(options.out);
  const fs::path file = options.out / "work/state.json";
  for (const auto& [field, value, words] : std::initializer_list<std::array<std::string, 3>>{
           {"/bytes", "7", "field 'bytes' holds number, expected object"},
           {"/bytes/rows", "-1", "field 'rows' is negative"},
           {"/open_shards", "{}", "field 'open_shards' holds object, expected array"},
           {"/open_shards/0/written", "\"a\"", "field 'written' is not a whole number"},
           {"/counts/read", "[\"a\"]", "field 'read' holds string, expected number"},
           {"/counts/rejected", "3", "field 'rejected' holds number, expected array"},
           {"/source", "18446744073709551615", "field 'source' is 18446744073709551615"},
           {"/item", "1.5", "field 'item' is not a whole number"},
           {"/crc32c", "[]", "field 'rows' is missing"},
           {"/format", "\"1\"", "field 'format' is not a whole number"},
           {"", "[1]", "state.json: holds array, expected object"}}) {
    Json state = whole;
    state[Json::json_pointer(field)] = Json::parse(value);
    write_json(file, state);
    const std::string where = field.starts_with("/open_shards/") ? "/work: " : "work/state.json: ";
    expect_error([&] { ingest(options); }, {where, words});
  }
  write_json(file, whole);
  const fs::path plan = options.out / "work/plan.json";
  Json sources = read_json(plan);
  for (const Json& items : {Json{-1, 1}, Json{INT64_MAX, 1}}) {
    sources["items"] = items;
    write_json(plan, sources);
    expect_error([&] { ingest(options); }, {"work/plan.json: field 'items' has", "expected 0 to"});
  }
}

TEST(IngestSurvival, WorkLeadsOutOfNoFolder) {
  const TemporaryFolder folder;
  const auto options = mixed_sources(folder);
  ingest(options);
  Json state = unfinished(options.out);
  const std::string lines = R"({"number":0,"path":"../evil.tar","bytes":0,"sha256":""})"
                            "\n";
  overwrite(options.out / "work/shards.jsonl", lines);
  state["open_shards"][0] = {{"written", 1}, {"number", 0}, {"bytes", 0}, {"crc32c", "00000000"}};
  state["bytes"]["shards"] = lines.size();
  state["crc32c"]["shards"] = format_crc32c(crc32c(lines));
  write_json(options.out / "work/state.json", state);
  expect_error([&] { ingest(options); }, {"work", "shards/train-000000.tar", "number 0"});
  EXPECT_FALSE(fs::exists(folder / "evil.tar") || fs::exists(folder / "evil.tar.part"));
}

TEST(IngestSurvival, RetryFailedReadsOnlyWhatFailed) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  options.selection_fraction = 0.2;
  const Json before = ingest(options).counts;
  const auto first = files_of(options.out);
  const auto images_of = [](const Json& counts) {
    int64_t images = 0;
    for (const auto& [name, split] : counts["splits"].items()) {
      images += split["images"].get<int64_t>();
    }
    return images;
  };
  // Of 4 missing ones and 4 that are no images, one each is put in order.
  overwrite(folder / "7.png", encode_png(numbered_image(250, 40, 40)));
  overwrite(folder / "9.png", encode_png(numbered_image(251, 40, 40)));
  EXPECT_TRUE(ingest(options).was_done);
  options.retry_failed = true;
  const Json after = ingest(options).counts;
  EXPECT_EQ(images_of(after), images_of(before) + 2);
  const std::string rejected = read_file(options.out / "rejected.jsonl");
  EXPECT_EQ(rejected.find("\"7\""), std::string::npos);
  EXPECT_NE(rejected.find("\"67\""), std::string::npos);
  const auto second = files_of(options.out);
  EXPECT_EQ(second.at("shards/train-000000.tar"), first.at("shards/train-000000.tar"));
  EXPECT_EQ(verify_dataset(options.out).faults, Strings{});
  EXPECT_EQ(images_of(ingest(options).counts), images_of(after)) << "the rest fails again";
}

TEST(IngestSurvival, ChangedInputsAreToldApart) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  ingest(options);
  overwrite(folder / "list.jsonl", read_file(folder / "list.jsonl") + json_of("0.png", {"all"}));
  write_numbered_tar(folder / "b.tar", 3, 5, 5);
  options.sources = {(folder / "list.jsonl").string(), (folder / "b.tar").string()};
  expect_error([&] { ingest(options); },
               {"other sources", "--force to redo it:\n  changed ", "list.jsonl (", "bytes, was",
                "\n  added ", "b.tar\n  gone ", "a.tar"},
               ExitStatus::usage);
  options.sources = {(folder / "a.tar").string(), (folder / "list.jsonl").string()};
  overwrite(folder / "list.jsonl", "{}");
  options.force = true;
  options.sources = {(folder / "a.tar").string()};
  EXPECT_FALSE(ingest(options).was_done);
}

TEST(IngestSurvival, AMistakenSourceDoesNotTakeTheFolder) {
  const TemporaryFolder folder;
  auto options = mixed_sources(folder);
  const auto sources = options.sources;
  overwrite(folder / "cut.tar", read_file(folder / "a.tar").substr(0, 3000));
  options.sources.push_back((folder / "cut.tar").string());
  expect_error([&] { ingest(options); }, {"cut.tar", "at byte"});
  options.sources = sources;
  EXPECT_FALSE(ingest(options).was_done);
}

TEST(IngestSurvival, StatusAndTableAccountForEveryItem) {
  const TemporaryFolder folder;
  const auto options = mixed_sources(folder);
  const Json counts = ingest(options).counts;
  const Tensor status = load_npy(options.out / "status.npy");
  ASSERT_EQ(status.size(0), 290);
  std::map<std::string, int64_t> found;
  for (const uint8_t code : status.as<uint8_t>()) {
    ++found[std::string(rejection_names[code])];
  }
  std::map<std::string, int64_t> told;
  int64_t images = 0, read = 0;
  for (const auto& [name, split] : counts["splits"].items()) {
    images += split["images"].get<int64_t>();
    read += split["read"].get<int64_t>();
    for (const auto& [reason, count] : split["rejected"].items()) {
      told[reason] += count.get<int64_t>();
    }
  }
  told[""] = images;
  EXPECT_EQ(found, told);
  EXPECT_EQ(read, 290);
  EXPECT_EQ(told["unreadable image"], 8);
  const auto lines = split(read_file(options.out / "rejected.jsonl"), '\n');
  EXPECT_EQ(static_cast<int64_t>(lines.size()) - 1, 290 - images);
}

TEST(IngestSurvival, DuplicatesUniteTheirTags) {
  const TemporaryFolder folder;
  for (const int i : {0, 1}) {
    overwrite(folder / fmt::format("{}.png", i), encode_png(numbered_image(i, 9, 9)));
  }
  overwrite(folder / "v.jsonl", json_of("1.png", {"one"}));
  overwrite(folder / "t.jsonl", json_of("0.png", {"a"}) + json_of("1.png", {"b", "one"}) +
                                    json_of("./0.png", {"one", "c"}));
  IngestOptions options;
  options.sources = {(folder / "t.jsonl").string()};
  options.val_sources = {(folder / "v.jsonl").string()};
  options.out = folder / "out";
  const Json counts = ingest(options).counts;
  const Dataset data = Dataset::open(options.out);
  ASSERT_EQ(data.split("train").size(), 1);
  EXPECT_EQ(data.split("train").tags(0).size(), 3U);  // a, one, c
  EXPECT_EQ(data.split("val").tags(0).size(), 1U) << "evaluation's tags are as they were";
  EXPECT_EQ(counts["splits"]["train"]["rejected"]["duplicate"], 2);
  EXPECT_NE(read_file(options.out / "rejected.jsonl").find("the same bytes as"), std::string::npos);
}

/// An offset that is wrong though every checksum is right.
void expect_members_are_checked(const fs::path& out) {
  Json dataset = read_json(out / "dataset.json");
  Json stage = read_json(out / "stage.json");
  Tensor offset = load_npy(out / "train/offset.npy");
  offset.as<int64_t>()[3] += 512;
  save_npy(out / "train/offset.npy", offset);
  dataset["splits"]["train"]["files"]["offset.npy"] = sha256_of_file(out / "train/offset.npy");
  write_json(out / "dataset.json", dataset);
  stage["outputs"]["dataset.json"] = sha256_of_file(out / "dataset.json");
  write_json(out / "stage.json", stage);
  const auto faults = verify_dataset(out).faults;
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults[0].find("where image 3 ("), std::string::npos) << faults[0];
}

TEST(IngestSurvival, VerifyFindsWhatWasChanged) {
  const TemporaryFolder folder;
  const auto options = mixed_sources(folder);
  ingest(options);
  const auto whole = verify_dataset(options.out);
  EXPECT_EQ(whole.faults, Strings{});
  EXPECT_EQ(whole.images, Dataset::open(options.out).split("train").size() +
                              Dataset::open(options.out).split("val").size());
  const auto damage = [&](const std::string& name, const std::string& word) {
    const std::string bytes = read_file(options.out / name);
    std::string changed = bytes;
    changed[bytes.size() / 2] = static_cast<char>(changed[bytes.size() / 2] ^ 1);
    overwrite(options.out / name, changed);
    const auto faults = verify_dataset(options.out).faults;
    ASSERT_FALSE(faults.empty()) << name;
    EXPECT_NE(join(faults, "\n").find(word), std::string::npos) << join(faults, "\n");
    overwrite(options.out / name, bytes);
  };
  damage("shards/train-000001.tar", "train-000001.tar");
  damage("train/tag_ids.npy", "tag_ids.npy");
  damage("val/keys.txt", "keys.txt");
  damage("tags.tsv", "tags.tsv");
  EXPECT_EQ(verify_dataset(options.out).faults, Strings{});
  // Files that the index does not know, and an index whose images are elsewhere.
  overwrite(options.out / "shards/train-000099.tar", "");
  EXPECT_NE(join(verify_dataset(options.out).faults, "\n").find("train-000099.tar: not a shard"),
            std::string::npos);
  fs::remove(options.out / "shards/train-000099.tar");
  expect_members_are_checked(options.out);
  fs::remove(options.out / "shards/train-000000.tar");
  expect_error([&] { verify_dataset(options.out); }, {"train-000000.tar"});
}

}  // namespace
}  // namespace hardmoe
