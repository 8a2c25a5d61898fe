// Which networks a folder holds: of a run's rows, of a model, of a packed mixture; and what is said
// of folders that hold none.
#include "tasks/find_networks.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/stage.h"
#include "expect_error.h"
#include "moe/mixture_card.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

namespace fs = std::filesystem;

void make_stage(const fs::path& folder, bool done = true) {
  fs::create_directories(folder);
  write_file_atomic(folder / "stage.json",
                    Json{{"command", "any"}, {"done", done}, {"outputs", Json::object()}}.dump());
}

void make_mixture(const fs::path& partition, const fs::path& experts) {
  make_stage(partition);
  write_file_atomic(partition / "partition.json", Json{{"experts", 2}}.dump());
  for (const char* k : {"0", "1"}) make_stage(experts / k);
}

/// A run of two experts with all that a run can have, in the form that its folder has.
class RunFolder : public testing::Test {
 protected:
  RunFolder() {
    for (const char* stage : {"base", "longer", "decoder", "controls/wider", "levers/router",
                              "levers/finetune/decoder"}) {
      make_stage(run_ / stage);
    }
    make_mixture(run_ / "partition", run_ / "experts");
    make_mixture(run_ / "partition", run_ / "levers/finetune/experts");
    make_mixture(run_ / "partition", run_ / "controls/steps/experts");
    for (const char* lever : {"controls/random", "levers/reroute", "levers/reroute-2"}) {
      make_mixture(run_ / lever / "partition", run_ / lever / "experts");
    }
    for (const char* row : {"base", "longer", "wider", "local", "shared", "router", "finetune",
                            "steps", "random", "reroute", "reroute-2"}) {
      make_stage(run_ / "eval" / row);
    }
    write_file_atomic(run_ / "config.yaml", "seed: 1\n");
  }
  TemporaryFolder folder_;
  fs::path run_ = folder_ / "run";
};

TEST_F(RunFolder, TheMixtureWithLocalDecodersIsMeantUnlessARowIsNamed) {
  const FoundNetworks found = find_networks(run_);
  EXPECT_EQ(found.row, "local");
  EXPECT_EQ(found.networks.model, "");
  EXPECT_EQ(found.networks.base, run_ / "base");
  EXPECT_EQ(found.networks.partition, run_ / "partition");
  EXPECT_EQ(found.networks.experts, run_ / "experts");
  EXPECT_EQ(found.networks.router + found.decoder + found.pack, "");
  EXPECT_EQ(found.evaluation, run_ / "eval/local");
}

TEST_F(RunFolder, EachRowHasItsFolders) {
  EXPECT_EQ(rows_in(run_),
            (std::vector<std::string>{"base", "longer", "wider", "random", "steps", "local",
                                      "shared", "reroute", "reroute-2", "router", "finetune"}));
  EXPECT_EQ(find_networks(run_, "base").networks.model, run_ / "base");
  EXPECT_EQ(find_networks(run_, "wider").networks.model, run_ / "controls/wider");
  EXPECT_EQ(find_networks(run_, "shared").decoder, run_ / "decoder");
  EXPECT_EQ(find_networks(run_, "router").networks.router, run_ / "levers/router");
  EXPECT_EQ(find_networks(run_, "finetune").networks.experts, run_ / "levers/finetune/experts");
  EXPECT_EQ(find_networks(run_, "finetune").decoder, run_ / "levers/finetune/decoder");
  EXPECT_EQ(find_networks(run_, "steps").networks.partition, run_ / "partition");
  EXPECT_EQ(find_networks(run_, "steps").networks.experts, run_ / "controls/steps/experts");
  EXPECT_EQ(find_networks(run_, "reroute-2").networks.partition,
            run_ / "levers/reroute-2/partition");
}

TEST_F(RunFolder, ARowThatItHasNotIsRefusedWithThoseItHas) {
  expect_error([&] { find_networks(run_, "top-tag"); },
               {"row top-tag is not there (yet)", "networks of base, longer, wider"},
               ExitStatus::usage);
  expect_error([&] { find_networks(run_, "ensemble"); }, {"no run has a row 'ensemble'"},
               ExitStatus::usage);
}

TEST_F(RunFolder, WhatIsNotFinishedIsNamed) {
  make_stage(run_ / "experts/1", false);
  expect_error(
      [&] { find_networks(run_); },
      {"local is not finished", "experts/1 is not done", "run moe-run", "--row base, longer"},
      ExitStatus::failed);
  EXPECT_EQ(find_networks(run_, "base").networks.model, run_ / "base");
  make_stage(run_ / "experts/1");
  fs::remove_all(run_ / "eval/local");
  expect_error([&] { find_networks(run_); }, {"not finished", "eval/local is not done"},
               ExitStatus::failed);
  fs::remove_all(run_ / "experts");
  expect_error([&] { find_networks(run_); }, {"not finished", "experts/0 is not done"},
               ExitStatus::failed);
}

TEST_F(RunFolder, NoRowIsOfferedWhereNoneIsFinished) {
  make_stage(run_ / "base", false);
  for (const char* row : {"longer", "controls/wider"}) make_stage(run_ / row, false);
  try {
    find_networks(run_, "base");
    FAIL() << "base is not finished";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              run_.string() +
                  ": row base is not finished, as base is not done; run moe-run with "
                  "the same --out again");
  }
}

TEST_F(RunFolder, APartitionHasAsManyExpertsAsCanBeNumbered) {
  for (const Json& experts : {Json(0), Json(-1), Json(65536), Json(2147483647), Json(UINT64_MAX)}) {
    write_file_atomic(run_ / "partition/partition.json", Json{{"experts", experts}}.dump());
    expect_error([&] { find_networks(run_); }, {"partition.json", "'experts'",
                                                "expected 1 to 65535", "make the partition again"});
  }
  write_file_atomic(run_ / "partition/partition.json", "5");
  expect_error([&] { find_networks(run_); }, {"partition.json", "'experts'"});
}

TEST_F(RunFolder, FoldersMadeByHandNeedNoEvaluation) {
  fs::remove(run_ / "config.yaml");
  fs::remove_all(run_ / "eval");
  EXPECT_EQ(find_networks(run_, "shared").decoder, run_ / "decoder");
  EXPECT_EQ(find_networks(run_).evaluation, "");
}

TEST(FindNetworks, AModelStandsAlone) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "model.yaml", "");
  EXPECT_EQ(find_networks(folder / "").networks.model, folder / "");
  expect_error([&] { find_networks(folder / "", "shared"); }, {"is the folder of one model"},
               ExitStatus::usage);
}

TEST(FindNetworks, APackSaysWhatItHolds) {
  const TemporaryFolder folder;
  MixtureCard card;
  card.row = "router";
  card.router = true;
  save_mixture_card(folder / "", card);
  expect_error([&] { find_networks(folder / ""); }, {"without its stage.json", "copy"});
  fs::remove(folder / "mixture.yaml");
  Stage stage({.folder = folder / "", .command = "moe-pack", .inputs = Json::object()});
  save_mixture_card(folder / "", card);
  expect_error([&] { find_networks(folder / ""); }, {"not finished"});
  stage.finish({"mixture.yaml"}, Json::object());
  const FoundNetworks found = find_networks(folder / "");
  EXPECT_EQ(found.networks.base, folder / "base");
  EXPECT_EQ(found.networks.router, folder / "router");
  EXPECT_EQ(found.decoder, "");
  EXPECT_EQ(found.pack, folder / "");
  expect_error([&] { find_networks(folder / "", "local"); }, {"has one row, router"},
               ExitStatus::usage);
  card.row = "local";
  save_mixture_card(folder / "", card);
  expect_error([&] { find_networks(folder / ""); }, {"mixture.yaml", "changed since moe-pack"});
  fs::remove(folder / "mixture.yaml");
  expect_error([&] { find_networks(folder / ""); }, {"lacks mixture.yaml"});
}

TEST(FindNetworks, APacksRecordIsChecked) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "beside", "x");
  fs::create_directories(folder / "pack");
  const auto find = [&](const Json& record) {
    write_json(folder / "pack/stage.json", record);
    find_networks(folder / "pack");
  };
  for (const Json& record :
       {Json(5), Json::array({"moe-pack"}), Json{{"command", 5}},
        Json{{"command", "moe-pack"}, {"done", "yes"}},
        Json{{"command", "moe-pack"}, {"done", true}},
        Json{{"command", "moe-pack"}, {"done", true}, {"outputs", {{"beside", 5}}}},
        Json{{"command", "moe-pack"}, {"done", true}, {"outputs", {{"../beside", "ab"}}}}}) {
    expect_error([&] { find(record); }, {"pack/stage.json"});
  }
}

TEST(FindNetworks, OtherFoldersAreRefused) {
  const TemporaryFolder folder;
  expect_error([&] { find_networks(folder / "nothing"); }, {"no such folder"}, ExitStatus::usage);
  expect_error([&] { find_networks(folder / ""); }, {"holds no networks", "moe-run"},
               ExitStatus::usage);
  write_file_atomic(folder / "mixture.yaml", "format: hardmoe mixture 99\n");
  expect_error([&] { find_networks(folder / ""); }, {"mixture.yaml", "99", "hardmoe mixture 1"},
               ExitStatus::failed);
}

}  // namespace
}  // namespace hardmoe
