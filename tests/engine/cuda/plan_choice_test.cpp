// The choice among a convolution's plans, by plans that only pretend and a GPU on the host on which
// each call takes a microsecond.
#include "engine/cuda/plan_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "emulated_gpu.h"
#include "streams.h"

namespace hardmoe::cuda {
namespace {

/// A plan of so many microseconds; a negative number fails.
class PretendedPlan final : public ConvPlan {
 public:
  PretendedPlan(const Gpu& gpu, int microseconds, int64_t workspace = 0)
      : gpu_(&gpu), microseconds_(microseconds), workspace_(workspace) {}
  int64_t workspace_bytes() const override { return workspace_; }
  double seconds() const override { return 0; }
  void run(const ConvArrays& arrays) const override {
    if (microseconds_ < 0) fail("this plan cannot run");
    found = arrays;
    ++runs;
    for (int i = 0; i < microseconds_; ++i) cuda_emulation::enqueue(gpu_->compute(), [] {});
  }

  mutable ConvArrays found;
  mutable int runs = 0;

 private:
  const Gpu* gpu_;
  int microseconds_;
  int64_t workspace_;
};

constexpr TrialOptions quick{.flushed_bytes = 1 << 16};

/// 2 images of 8×8×16, 3×3 to as many channels.
ConvRequest request_in(Precision precision) {
  return {ConvPass::forward, {2, 8, 8, 16, 8, 8, 16, 3, 1, 1}, precision, false};
}

class PlanChoices : public testing::Test {
 protected:
  std::shared_ptr<PretendedPlan> plan(int microseconds, int64_t workspace = 0) const {
    return std::make_shared<PretendedPlan>(gpu, microseconds, workspace);
  }
  Gpu gpu{0};
};

TEST_F(PlanChoices, TheFastestIsTaken) {
  const auto choice =
      fastest_plan(gpu, request_in(Precision::fp32), {plan(9), plan(3), plan(5), plan(3)}, quick);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->number, 1U) << "of equal ones the first";
  EXPECT_TRUE(choice->measured);
  EXPECT_NEAR(choice->seconds, 3e-6, 1e-9) << "without what empties the caches";
}

TEST_F(PlanChoices, APlanThatFailsIsLeftOut) {
  const size_t said = warnings_so_far().size();
  const auto choice =
      fastest_plan(gpu, request_in(Precision::fp32), {plan(-1), plan(7), plan(-1)}, quick);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->number, 1U);
  EXPECT_GT(warnings_so_far().size(), said);
  EXPECT_FALSE(fastest_plan(gpu, request_in(Precision::fp32), {plan(-1)}, quick));
  EXPECT_FALSE(fastest_plan(gpu, request_in(Precision::fp32), {}, quick));
}

TEST_F(PlanChoices, ASinglePlanIsMeasuredToo) {
  const auto choice = fastest_plan(gpu, request_in(Precision::fp32), {plan(4)}, quick);
  ASSERT_TRUE(choice);
  EXPECT_TRUE(choice->measured);
  EXPECT_NEAR(choice->seconds, 4e-6, 1e-9);
}

TEST_F(PlanChoices, WithoutRoomTheFirstIsTakenUnmeasured) {
  const auto first = plan(9), large = plan(1, gpu.total_bytes());
  const auto choice = fastest_plan(gpu, request_in(Precision::fp32), {first, large}, quick);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->number, 0U);
  EXPECT_FALSE(choice->measured);
  EXPECT_EQ(first->runs, 0);
}

TEST_F(PlanChoices, CachesThatCannotBeEmptiedAreNoReasonNotToMeasure) {
  const auto choice = fastest_plan(gpu, request_in(Precision::fp32), {plan(5), plan(2)},
                                   {.flushed_bytes = gpu.total_bytes()});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->number, 1U);
  EXPECT_TRUE(choice->measured);
}

/// Reads numbers as a plan does.
class Reading final : public ConvPlan {
 public:
  Reading(const Gpu& gpu, const ConvRequest& request) : gpu_(&gpu), request_(request) {}
  int64_t workspace_bytes() const override { return 0; }
  double seconds() const override { return 0; }
  void run(const ConvArrays& arrays) const override {
    read(arrays.x, request_.shape.x_elements());
    read(arrays.y, request_.shape.y_elements());
    read(arrays.weights, request_.shape.weight_elements());
  }

  mutable std::vector<float> values;

 private:
  void read(const void* from, int64_t elements) const {
    const int64_t width = request_.precision == Precision::bf16 ? 2 : 4;
    std::vector<std::byte> bytes(static_cast<size_t>(width * elements));
    gpu_->download(bytes.data(), from, std::ssize(bytes));
    for (int64_t i = 0; i < elements; ++i) {
      uint32_t bits = 0;
      std::memcpy(&bits, bytes.data() + width * i, static_cast<size_t>(width));
      if (width == 2) bits <<= 16;
      float value = 0;
      std::memcpy(&value, &bits, sizeof value);
      values.push_back(value);
    }
  }

  const Gpu* gpu_;
  ConvRequest request_;
};

TEST_F(PlanChoices, PlansRunOnNumbersLikeANetworks) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const ConvRequest request = request_in(precision);
    const auto reading = std::make_shared<Reading>(gpu, request);
    ASSERT_TRUE(fastest_plan(gpu, request, {reading}, quick));
    double squares = 0;
    for (const float value : reading->values) {
      ASSERT_TRUE(std::abs(value) <= 1) << value;
      squares += double{value} * double{value};
    }
    EXPECT_NEAR(squares / static_cast<double>(reading->values.size()), 1.0 / 3, 0.05);
  }
}

}  // namespace
}  // namespace hardmoe::cuda
