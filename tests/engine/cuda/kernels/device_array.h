// Arrays in device memory, for tests that run on a GPU and, with tests/gpu/emulation, on the host.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "engine/cpu/kernels.h"
#include "engine/cuda/kernels.h"
#ifdef HARDMOE_CUDA_EMULATION
#include "emulation.h"
#endif

namespace hardmoe::cuda {

using Floats = std::vector<float>;

inline void check_cuda(cudaError_t status) {
  if (status != cudaSuccess) fail("CUDA in a test: {}", cudaGetErrorString(status));
}

/// n elements of T on the device. Poisoned: every byte 0xFF, so NaN in every format.
template <class T>
class Device {
 public:
  explicit Device(size_t n) : n_(n) {
    check_cuda(cudaMalloc(&data_, n * sizeof(T)));
    check_cuda(cudaMemset(data_, 0xFF, n * sizeof(T)));
  }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    check_cuda(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~Device() { cudaFree(data_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  T* data() const { return static_cast<T*>(data_); }
  std::vector<T> host() const {
    std::vector<T> values(n_);
    check_cuda(cudaDeviceSynchronize());
    check_cuda(cudaMemcpy(values.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  void* data_ = nullptr;
  size_t n_;
};

inline Floats rounded(Precision precision, Floats values) {
  if (precision == Precision::bf16) {
    for (float& v : values) v = hardmoe::to_float(to_bfloat16(v));
  }
  return values;
}

/// Activations of either precision on the device, floats on the host.
class DeviceActivations {
 public:
  DeviceActivations(Precision precision, size_t n)
      : precision_(precision), bytes_(n * (precision == Precision::bf16 ? 2 : 4)) {}
  DeviceActivations(Precision precision, const Floats& values)
      : DeviceActivations(precision, values.size()) {
    if (precision == Precision::fp32) {
      check_cuda(
          cudaMemcpy(bytes_.data(), values.data(), values.size() * 4, cudaMemcpyHostToDevice));
      return;
    }
    std::vector<BFloat16> rounded_values(values.size());
    for (size_t i = 0; i < values.size(); ++i) rounded_values[i] = to_bfloat16(values[i]);
    check_cuda(cudaMemcpy(bytes_.data(), rounded_values.data(), rounded_values.size() * 2,
                          cudaMemcpyHostToDevice));
  }
  Activations view() const { return {bytes_.data(), precision_}; }
  Floats host() const {
    const std::vector<uint8_t> bytes = bytes_.host();
    if (precision_ == Precision::fp32) {
      Floats values(bytes.size() / 4);
      std::memcpy(values.data(), bytes.data(), bytes.size());
      return values;
    }
    std::vector<BFloat16> rounded_values(bytes.size() / 2);
    std::memcpy(rounded_values.data(), bytes.data(), bytes.size());
    Floats values(rounded_values.size());
    for (size_t i = 0; i < values.size(); ++i) values[i] = hardmoe::to_float(rounded_values[i]);
    return values;
  }

 private:
  Precision precision_;
  Device<uint8_t> bytes_;
};

/// The same for the CPU's kernels.
struct HostActivations {
  Precision precision;
  Floats wide;
  std::vector<BFloat16> rounded_values;

  HostActivations(Precision p, const Floats& values)
      : precision(p), wide(values), rounded_values(values.size()) {
    for (size_t i = 0; i < values.size(); ++i) rounded_values[i] = to_bfloat16(values[i]);
  }
  cpu::Activations view() {
    return precision == Precision::bf16 ? cpu::Activations{rounded_values.data(), precision}
                                        : cpu::Activations{wide.data(), precision};
  }
  Floats host() {
    Floats values(wide.size());
    cpu::to_float(view(), static_cast<int64_t>(values.size()), values.data());
    return values;
  }
};

inline Floats draws(int64_t count, uint64_t stream) {
  Random random(29, RandomUse::test, stream);
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = random.normal();
  return values;
}

/// |found − expected| ≤ of·(|expected| + floor), or both undefined.
inline void expect_near(const Floats& found, const Floats& expected, double of, double floor = 1) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(found[i])) << "element " << i;
      continue;
    }
    if (found[i] == expected[i]) continue;  // infinities, too
    const double size = std::abs(double{expected[i]}) + floor;
    ASSERT_NEAR(double{found[i]}, double{expected[i]}, of * size) << "element " << i;
  }
}

/// What work() returns, after it gave the same bits every time: twice on a GPU, with the threads of
/// a block in three orders in the emulation.
template <class Work>
auto same_every_time(const Work& work) {
#ifdef HARDMOE_CUDA_EMULATION
  using cuda_emulation::Order;
  cuda_emulation::set_order(Order::descending);
  const auto other = work();
  cuda_emulation::set_order(Order::shuffled);
  const auto third = work();
  cuda_emulation::set_order(Order::ascending);
#else
  const auto other = work();
  const auto third = other;
#endif
  auto result = work();
  const auto same = [](const Floats& a, const Floats& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
      return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
    });
  };
  for (size_t i = 0; i < result.size(); ++i) {
    EXPECT_TRUE(same(result[i], other[i])) << "result " << i;
    EXPECT_TRUE(same(result[i], third[i])) << "result " << i;
  }
  return result;
}

/// Skips where there is no device.
class CudaKernels : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      GTEST_SKIP() << "no NVIDIA GPU here";
    }
  }
  static Precision precision() { return GetParam(); }
  static bool is_bf16() { return precision() == Precision::bf16; }
  /// Relative distance of neighbours in the precision of activations; some roundings of float.
  static double rounding() { return is_bf16() ? 0x1p-7 : 2e-6; }
};

#define HARDMOE_BOTH_PRECISIONS(Suite)                                      \
  INSTANTIATE_TEST_SUITE_P(                                                 \
      Precisions, Suite, testing::Values(Precision::fp32, Precision::bf16), \
      [](const auto& one) { return one.param == Precision::fp32 ? "fp32" : "bf16"; })

}  // namespace hardmoe::cuda
