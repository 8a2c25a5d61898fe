// What convolution plans are kept under, and their files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "base/files.h"
#include "engine/cuda/plan_cache.h"
#include "engine/cuda/plan_key.h"
#include "temporary_folder.h"

namespace hardmoe::cuda {
namespace {

const PlanMaker maker{"NVIDIA H100 80GB HBM3", 90, "cuDNN 9.19.0 frontend 13200"};
const ConvRequest request{
    ConvPass::forward, {256, 56, 56, 64, 28, 28, 128, 3, 2, 1}, Precision::bf16, false};

TEST(PlanKey, ReadsAsAPersonWouldSayIt) {
  EXPECT_EQ(plan_key(maker, request),
            "NVIDIA H100 80GB HBM3, sm_90, cuDNN 9.19.0 frontend 13200 | forward bf16 | x "
            "256×56×56×64 | w 128×3×3×64 | y 28×28 | stride 2 padding 1 | fastest");
}

TEST(PlanKey, DiffersWhereverThePlanMay) {
  std::set<std::string> keys;
  size_t made = 0;
  const auto add = [&](const PlanMaker& m, const ConvRequest& r) {
    keys.insert(plan_key(m, r));
    ++made;
  };
  add(maker, request);
  add({"NVIDIA H200", 90, maker.version}, request);
  add({maker.device, 100, maker.version}, request);
  add({maker.device, 90, "cuDNN 9.20.0 frontend 13200"}, request);
  for (const ConvPass pass :
       {ConvPass::forward_sums, ConvPass::data_gradient, ConvPass::weight_gradient}) {
    ConvRequest other = request;
    other.pass = pass;
    add(maker, other);
  }
  for (const Precision precision : {Precision::fp32, Precision::tf32}) {
    ConvRequest other = request;
    other.precision = precision;
    add(maker, other);
  }
  ConvRequest deterministic = request;
  deterministic.deterministic = true;
  add(maker, deterministic);
  for (const auto member :
       {&ConvShape::batch, &ConvShape::height, &ConvShape::width, &ConvShape::channels,
        &ConvShape::out_height, &ConvShape::out_width, &ConvShape::out_channels}) {
    ConvRequest other = request;
    other.shape.*member += 1;
    add(maker, other);
  }
  for (const auto member : {&ConvShape::kernel, &ConvShape::stride, &ConvShape::padding}) {
    ConvRequest other = request;
    other.shape.*member += 1;
    add(maker, other);
  }
  EXPECT_EQ(keys.size(), made);
}

TEST(PlanCache, GivesBackWhatItWasGiven) {
  const TemporaryFolder folder;
  const std::string plan("with\0zeros\nand lines\n", 21);
  PlanCache(folder.path() / "a" / "b").store("key", plan);
  const PlanCache cache(folder.path() / "a" / "b");
  ASSERT_TRUE(cache.find("key").has_value());
  EXPECT_EQ(*cache.find("key"), plan);
  EXPECT_FALSE(cache.find("another").has_value());
  PlanCache(folder.path() / "a" / "b").store("key", "");
  EXPECT_EQ(cache.find("key").value(), "");
}

TEST(PlanCache, DamagedFilesCountAsNone) {
  const TemporaryFolder folder;
  PlanCache cache(folder.path());
  cache.store("key", "a plan of some length");
  const std::string whole = read_file(cache.file_of("key"));
  const auto with = [&](const std::string& bytes) {
    std::ofstream(cache.file_of("key"), std::ios::binary) << bytes;
    testing::internal::CaptureStderr();
    const bool found = cache.find("key").has_value();
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(found, said.empty()) << said;
    EXPECT_EQ(found, said.find(cache.file_of("key").string()) == std::string::npos) << said;
    return found;
  };
  EXPECT_TRUE(with(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(with(whole.substr(0, length))) << length;
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(with(changed)) << i;
  }
  cache.store("key", "anew");
  EXPECT_EQ(cache.find("key").value(), "anew");
}

TEST(PlanCache, WithoutAFolderNothingIsKept) {
  PlanCache none({});
  none.store("key", "plan");
  EXPECT_FALSE(none.find("key").has_value());
  const TemporaryFolder folder;
  write_file_atomic(folder.path() / "file", "");
  PlanCache blocked(folder.path() / "file" / "plans");
  testing::internal::CaptureStderr();
  blocked.store("key", "plan");
  blocked.store("key", "plan");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("not kept"), std::string::npos) << said;
  EXPECT_EQ(said.find("not kept"), said.rfind("not kept")) << said;
  EXPECT_FALSE(blocked.find("key").has_value());
}

TEST(PlanCache, LiesWhereXdgSaysCachesLie) {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const std::string before = cache == nullptr ? "" : cache;
  setenv("XDG_CACHE_HOME", "/some/cache", 1);
  EXPECT_EQ(plan_cache_folder(), "/some/cache/hardmoe/plans");
  setenv("XDG_CACHE_HOME", "relative", 1);  // to be ignored, says the XDG specification
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(plan_cache_folder(), "/home/someone/.cache/hardmoe/plans");
  unsetenv("HOME");
  EXPECT_EQ(plan_cache_folder(), "");
  before.empty() ? unsetenv("XDG_CACHE_HOME") : setenv("XDG_CACHE_HOME", before.c_str(), 1);
}

}  // namespace
}  // namespace hardmoe::cuda
