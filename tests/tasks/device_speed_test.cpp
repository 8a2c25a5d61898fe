#include "tasks/device_speed.h"

#include <gtest/gtest.h>

namespace hardmoe {
namespace {

TEST(DeviceSpeed, IsMeasuredInEachPrecision) {
  const auto engine = make_engine("cpu");
  const auto speeds = device_speeds(*engine, 0);
  ASSERT_EQ(speeds.size(), engine->supports(Precision::bf16) ? 2U : 1U);
  EXPECT_EQ(speeds[0].precision, Precision::fp32);
  for (const auto& [precision, rate] : speeds) EXPECT_GT(rate, 0);
}

TEST(DeviceSpeed, IsToldInWholeImages) {
  EXPECT_EQ(speeds_text({{Precision::fp32, 739.6}, {Precision::bf16, 790.2}}),
            "fp32 740, bf16 790 images/s");
}

}  // namespace
}  // namespace hardmoe
