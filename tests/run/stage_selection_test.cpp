// Stages by name, by kind, from one on and up to one.
#include "run/stage_selection.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "expect_error.h"
#include "planned.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class Selection : public testing::Test {
 protected:
  /// The names of the stages meant, of two experts' run.
  std::string names(const StageSelection& selection) const {
    std::vector<std::string> found;
    for (const size_t number : selected_stages(pipeline.stages, selection)) {
      found.push_back(pipeline.stages[number].process.name);
    }
    return join(found, ", ");
  }
  Pipeline pipeline = plan(small());
};

TEST_F(Selection, IsByNameAndByTheWordsThatNamesBeginWith) {
  EXPECT_EQ(names({.only = {"expert 1"}}), "expert 1");
  EXPECT_EQ(names({.only = {"expert"}}), "expert 0, expert 1");
  EXPECT_EQ(names({.only = {"decoder", "base"}}), "base, decoder");
  EXPECT_EQ(names({.only = {"evaluation"}}),
            "evaluation base, evaluation longer, evaluation local, evaluation shared");
}

TEST_F(Selection, IsFromAStageOnAndUpToOne) {
  EXPECT_EQ(names({.from = "decoder"}), "decoder, evaluation shared");
  EXPECT_EQ(names({.until = "partition"}), "ingest, base, embedding, partition");
  EXPECT_EQ(names({.from = "embedding", .until = "expert"}),
            "embedding, partition, expert 0, expert 1");
  EXPECT_EQ(names({.only = {"expert", "base"}, .until = "partition"}), "base");
}

TEST_F(Selection, ANameOfNoStageIsAnsweredByTheNearest) {
  expect_error([&] { names({.only = {"expart"}}); },
               {"'expart'", "did you mean 'expert'?", "--list"}, ExitStatus::usage);
  expect_error([&] { names({.only = {"expert 7"}}); }, {"'expert 7'", "did you mean 'expert "},
               ExitStatus::usage);
  expect_error([&] { names({.from = "decoder", .until = "base"}); }, {"leave no stage"},
               ExitStatus::usage);
}

TEST_F(Selection, WhatIsNeededMustBeSelectedOrDone) {
  const TemporaryFolder folder;
  for (RunStage& stage : pipeline.stages) stage.folder = folder / stage.process.name;
  const auto only_decoder = selected_stages(pipeline.stages, {.only = {"decoder"}});
  expect_error([&] { graph_of_selected(pipeline.stages, only_decoder); },
               {"decoder needs what is not done yet:\n  expert 0\n  expert 1"}, ExitStatus::usage);
  for (const char* name : {"expert 0", "expert 1"}) {
    std::filesystem::create_directories(folder / name);
    write_json(folder / name / "stage.json", {{"done", true}, {"seconds", 1.0}});
  }
  const auto graph = graph_of_selected(pipeline.stages, only_decoder);
  ASSERT_EQ(graph.size(), 1U);
  EXPECT_TRUE(graph[0].after.empty());
  const auto from = selected_stages(pipeline.stages, {.from = "decoder"});
  EXPECT_EQ(graph_of_selected(pipeline.stages, from)[1].after, std::vector<std::string>{"decoder"});
}

TEST_F(Selection, DependentsAreWhatNeedsAStage) {
  std::vector<std::string> found;
  const auto expert = selected_stages(pipeline.stages, {.only = {"expert 0"}});
  for (const size_t number : with_dependents(pipeline.stages, expert)) {
    found.push_back(pipeline.stages[number].process.name);
  }
  EXPECT_EQ(join(found, ", "), "expert 0, decoder, evaluation local, evaluation shared");
}

}  // namespace
}  // namespace hardmoe
