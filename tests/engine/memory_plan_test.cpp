// The memory plan by brute force: nothing alive overlaps, and memory is used again.
#include "engine/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace hardmoe {
namespace {

int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

void expect_sound(const std::vector<Lifetime>& lifetimes, const MemoryPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), lifetimes.size());
  int64_t sum = 0, end = 0;
  int last_step = 0;
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Lifetime& a = lifetimes[i];
    EXPECT_EQ(plan.offsets[i] % 64, 0);
    EXPECT_GE(plan.offsets[i], 0);
    sum += rounded(a.bytes);
    end = std::max(end, plan.offsets[i] + a.bytes);
    last_step = std::max(last_step, a.last);
    for (size_t j = 0; j < i; ++j) {
      const Lifetime& b = lifetimes[j];
      const bool together = a.first <= b.last && b.first <= a.last;
      const bool apart = plan.offsets[i] + a.bytes <= plan.offsets[j] ||
                         plan.offsets[j] + b.bytes <= plan.offsets[i];
      EXPECT_TRUE(!together || apart) << i << " and " << j;
    }
  }
  EXPECT_GE(plan.total_bytes, end);
  EXPECT_LE(plan.total_bytes, sum);
  for (int step = 0; step <= last_step; ++step) {  // no plan can hold less than what is alive
    int64_t alive = 0;
    for (const Lifetime& life : lifetimes) {
      if (life.first <= step && step <= life.last) alive += rounded(life.bytes);
    }
    EXPECT_GE(plan.total_bytes, alive);
  }
}

TEST(MemoryPlan, NeverOverlapsWhatLivesTogether) {
  Random random(11, RandomUse::test);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Lifetime> lifetimes(1 + random.below(60));
    const uint64_t span = 1 + random.below(12);
    for (Lifetime& life : lifetimes) {
      life.bytes = static_cast<int64_t>(random.below(trial % 2 == 0 ? 300 : 1'000'000));
      life.first = static_cast<int>(random.below(40));
      life.last = life.first + static_cast<int>(random.below(span));
    }
    const MemoryPlan plan = plan_memory(lifetimes);
    expect_sound(lifetimes, plan);
    EXPECT_EQ(plan_memory(lifetimes).offsets, plan.offsets);
  }
}

TEST(MemoryPlan, AChainNeedsTwoBuffers) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 50; ++i) chain.push_back({1000, i, i + 1});
  EXPECT_EQ(plan_memory(chain).total_bytes, 2 * 1024);
}

TEST(MemoryPlan, WhatNeverMeetsSharesOnePlace) {
  const MemoryPlan plan = plan_memory({{640, 0, 1}, {64, 2, 2}, {320, 3, 9}});
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(plan.total_bytes, 640);
}

// Alive in the same step, if only at its ends, is together.
TEST(MemoryPlan, WhatMeetsInOneStepLiesApart) {
  const MemoryPlan plan = plan_memory({{64, 0, 1}, {128, 1, 2}});
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{128, 0}));
  EXPECT_EQ(plan.total_bytes, 192);
}

// Worked by hand: the long-lived one at the bottom, the two others above it one after the other,
// and the last fits under the short one's place in neither's time but its own.
TEST(MemoryPlan, FillsGaps) {
  const std::vector<Lifetime> lifetimes = {{256, 0, 9}, {128, 0, 3}, {128, 4, 9}, {64, 2, 5}};
  const MemoryPlan plan = plan_memory(lifetimes);
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{0, 256, 256, 384}));
  EXPECT_EQ(plan.total_bytes, 448);
}

TEST(MemoryPlan, NothingNeedsNothing) {
  EXPECT_EQ(plan_memory({}).total_bytes, 0);
  expect_sound({{0, 0, 3}, {0, 1, 2}}, plan_memory({{0, 0, 3}, {0, 1, 2}}));
}

// The shape of a backward pass: activations live from their making to their gradient's, most recent
// first. The plan may not be far above what is alive at the worst moment.
TEST(MemoryPlan, IsCloseToTheLeastForNestedLifetimes) {
  std::vector<Lifetime> lifetimes;
  int64_t alive = 0;
  for (int layer = 0; layer < 40; ++layer) {
    const int64_t bytes = int64_t{1 << 16} >> (layer / 10);
    lifetimes.push_back({bytes, layer, 80 - layer});       // activation
    lifetimes.push_back({bytes, 79 - layer, 80 - layer});  // gradient
    alive += bytes;
  }
  const MemoryPlan plan = plan_memory(lifetimes);
  expect_sound(lifetimes, plan);
  EXPECT_LE(static_cast<double>(plan.total_bytes), 1.1 * static_cast<double>(alive + (1 << 16)));
}

}  // namespace
}  // namespace hardmoe
