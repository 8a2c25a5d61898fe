// The order of a run's stages, and which may run side by side.
#include "run/stage_graph.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace hardmoe {
namespace {

RunStage stage(const std::string& name, std::vector<std::string> after = {}) {
  return {.process = {name, {"true"}, name + ".txt"}, .after = std::move(after)};
}

std::vector<std::string> names_in_order(const std::vector<RunStage>& stages) {
  std::vector<std::string> names;
  for (const size_t i : order_of(stages)) names.push_back(stages[i].process.name);
  return names;
}

TEST(StageGraph, KeepsTheOrderThatIsPossible) {
  EXPECT_EQ(names_in_order({stage("a"), stage("b", {"a"}), stage("c", {"a"}), stage("d")}),
            (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(StageGraph, PutsAStageAfterWhatItReads) {
  EXPECT_EQ(
      names_in_order({stage("d", {"b", "c"}), stage("c", {"a"}), stage("b", {"c"}), stage("a")}),
      (std::vector<std::string>{"a", "c", "b", "d"}));
}

TEST(StageGraph, RefusesAnUnknownDependency) {
  expect_error(
      [&] {
        check_graph({stage("a"), stage("b", {"base"})});
      },
      {"stage 'b' is after 'base', which is no stage", "a, b"});
}

TEST(StageGraph, RefusesACircleAndNamesIt) {
  expect_error(
      [&] {
        check_graph({stage("free"), stage("a", {"b"}), stage("b", {"a"})});
      },
      {"wait for one another", "'a' is after b", "'b' is after a"});
  expect_error([&] { check_graph({stage("a", {"a"})}); }, {"'a' is after a"});
}

TEST(StageGraph, RefusesTwoStagesOfOneName) {
  expect_error([&] { check_graph({stage("a"), stage("a")}); }, {"two stages are called 'a'"});
}

TEST(StageGraph, FindsWhatAStageNeedsHoweverFarBefore) {
  const std::vector<RunStage> stages = {stage("d", {"b", "c"}), stage("other"), stage("c", {"a"}),
                                        stage("b", {"c"}),      stage("a"),     stage("e", {"d"})};
  EXPECT_EQ(stages_before(stages, "d"), (std::vector<size_t>{2, 3, 4}));
  EXPECT_TRUE(stages_before(stages, "a").empty());
  expect_error([&] { stages_before(stages, "x"); }, {"'x'"});
}

TEST(StageGraph, AScheduleStartsWhatMayStart) {
  std::vector<RunStage> stages = {stage("a"), stage("b"), stage("c"), stage("last", {"a", "c"})};
  stages[3].alone = true;
  Schedule schedule(stages, 2);
  ASSERT_EQ(schedule.next(), 0U);
  schedule.start(0);
  ASSERT_EQ(schedule.next(), 1U);
  schedule.start(1);
  EXPECT_EQ(schedule.next(), std::nullopt);  // two run
  schedule.end(0, true);
  ASSERT_EQ(schedule.next(), 2U);
  schedule.start(2);
  schedule.end(2, true);
  EXPECT_EQ(schedule.next(), std::nullopt);  // b runs, and the last is alone
  schedule.end(1, true);
  ASSERT_EQ(schedule.next(), 3U);
  schedule.start(3);
  EXPECT_FALSE(schedule.all_done());
  schedule.end(3, true);
  EXPECT_TRUE(schedule.all_done());
}

TEST(StageGraph, ALaneHasOneStageAtATime) {
  std::vector<RunStage> stages = {stage("a"), stage("b"), stage("c")};
  stages[0].process.lane = stages[1].process.lane = 0;
  stages[2].process.lane = 1;
  Schedule schedule(stages, 3);
  schedule.start(0);
  EXPECT_EQ(schedule.next(), 2U);
}

TEST(StageGraph, WhatDependsOnAFailureNeverMayStart) {
  const std::vector<RunStage> stages = {stage("a"), stage("b", {"a"})};
  Schedule schedule(stages, 2);
  schedule.start(0);
  schedule.end(0, false);
  EXPECT_EQ(schedule.next(), std::nullopt);
  EXPECT_FALSE(schedule.all_done());
}

}  // namespace
}  // namespace hardmoe
