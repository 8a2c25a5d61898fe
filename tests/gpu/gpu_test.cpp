// One GPU's memory, queues and graphs: the GPU itself in test_gpu_itself, on the host by emulation
// in test_gpu.
#include "gpu/gpu.h"

#include <gtest/gtest.h>

#include <numeric>
#include <optional>
#include <vector>

#include "base/error.h"
#include "gpu/memory.h"

namespace hardmoe::cuda {
namespace {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      gpu_.emplace(0);
    } catch (const Error&) {
      GTEST_SKIP() << "no NVIDIA GPU here";
    }
  }

  std::optional<Gpu> gpu_;
};

std::vector<int> counting(int first) {
  std::vector<int> values(1000);
  std::iota(values.begin(), values.end(), first);
  return values;
}

constexpr int64_t bytes = 1000 * sizeof(int);

TEST_F(GpuTest, WhatIsUploadedMayChangeAtOnce) {
  const Memory memory = device_memory(*gpu_, bytes, "a test");
  std::vector<int> values = counting(5);
  gpu_->upload(memory.data(), values.data(), bytes);
  values.assign(values.size(), 0);
  gpu_->download(values.data(), memory.data(), bytes);
  EXPECT_EQ(values, counting(5));
}

TEST_F(GpuTest, CallsOfAQueueAreDoneInTheirOrder) {
  const Memory a = device_memory(*gpu_, bytes, "a test"), b = device_memory(*gpu_, bytes, "a test");
  std::vector<int> values = counting(5), rest(values.size(), 1);
  gpu_->upload(a.data(), values.data(), bytes);
  gpu_->copy(b.data(), a.data(), bytes, gpu_->compute());
  gpu_->zero(a.data(), bytes, gpu_->compute());
  gpu_->download(rest.data(), a.data(), bytes);
  EXPECT_EQ(rest, std::vector<int>(rest.size(), 0));
  gpu_->download(rest.data(), b.data(), bytes);
  EXPECT_EQ(rest, values);
}

TEST_F(GpuTest, AQueueWaitsForTheOthersEvent) {
  const Memory memory = device_memory(*gpu_, bytes, "a test");
  const Memory sent = pinned_memory(*gpu_, bytes, "a test");
  const Memory received = pinned_memory(*gpu_, bytes, "a test");
  const std::vector<int> values = counting(7);
  std::copy(values.begin(), values.end(), sent.as<int>());
  const OwnedEvent arrived(*gpu_, EventKind::order), done(*gpu_, EventKind::order);
  gpu_->to_device(memory.data(), sent.data(), bytes, gpu_->copies());
  gpu_->record(arrived.get(), gpu_->copies());
  gpu_->wait(gpu_->compute(), arrived.get());
  gpu_->to_host(received.data(), memory.data(), bytes, gpu_->compute());
  gpu_->record(done.get(), gpu_->compute());
  gpu_->synchronize(done.get());
  EXPECT_TRUE(std::equal(values.begin(), values.end(), received.as<int>()));
}

TEST_F(GpuTest, AGraphDoesItsWorkWhenItIsLaunchedAndNotWhenItIsRecorded) {
  const Memory memory = device_memory(*gpu_, bytes, "a test");
  const std::vector<int> values = counting(9);
  std::vector<int> found(values.size());
  gpu_->upload(memory.data(), values.data(), bytes);
  const auto graph = gpu_->record_graph([&] { gpu_->zero(memory.data(), bytes, gpu_->compute()); });
  gpu_->download(found.data(), memory.data(), bytes);
  EXPECT_EQ(found, values);
  graph->launch();
  gpu_->download(found.data(), memory.data(), bytes);
  EXPECT_EQ(found, std::vector<int>(found.size(), 0));
}

TEST_F(GpuTest, MemoryThatIsNotThereIsNamedWithWhatToDo) {
  try {
    device_memory(*gpu_, 4 * gpu_->total_bytes(), "a test", "ask for less");
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("cuda:0 has no "), std::string::npos) << text;
    EXPECT_NE(text.find(" GiB for a test ("), std::string::npos) << text;
    EXPECT_NE(text.find("ask for less"), std::string::npos) << text;
  }
  const Memory memory = device_memory(*gpu_, bytes, "a test");  // and the GPU goes on
  EXPECT_TRUE(memory);
}

TEST_F(GpuTest, MemoryIsGivenBackByItsLastOwner) {
  const int64_t large = int64_t{1} << 28, before = gpu_->free_bytes();
  {
    Memory first = device_memory(*gpu_, large, "a test");
    const Memory second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): moved from means empty
    EXPECT_LE(gpu_->free_bytes(), before - large);
  }
  EXPECT_GT(gpu_->free_bytes(), before - large);
}

}  // namespace
}  // namespace hardmoe::cuda
