// lib/cluster/cuda/device.h on the host: memory is the heap's, library calls are plain loops.
// Blocks are as long as asked, so that the address sanitizer sees what reaches beyond.
#include "emulated_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "cluster/cuda/device.h"
#include "cluster/cuda/launch.cuh"

namespace hardmoe::cluster_cuda {

void launch_failed(const char* name, const char* reason) { fail("{}: {}", name, reason); }

struct Device::Handles {};

Device::Device(int) {}
Device::~Device() = default;
std::string Device::describe() const { return "emulated"; }
Stream Device::stream() const { return nullptr; }
int64_t Device::total_bytes() const { return cuda_emulation::memory_bytes; }
int64_t Device::free_bytes() const { return cuda_emulation::memory_bytes; }

void* Device::allocate(int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  void* memory = std::malloc(std::max<size_t>(size, 1));
  std::memset(memory, 0xFF, size);  // NaN
  return memory;
}
void Device::release(void* memory) noexcept { std::free(memory); }

void Device::upload(void* to, const void* from, int64_t bytes) { copy(to, from, bytes); }
void Device::download(void* to, const void* from, int64_t bytes) { copy(to, from, bytes); }
void Device::copy(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}
void Device::zero(void* to, int64_t bytes) { std::memset(to, 0, static_cast<size_t>(bytes)); }

void Device::multiply(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* out) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      out[i * n + j] = std::inner_product(a + i * k, a + (i + 1) * k, b + j * k, 0.0F);
    }
  }
}

void Device::squares(const float* a, int64_t count, int64_t rows, int64_t depth, float* out) {
  std::fill_n(out, count * depth * depth, 0.0F);
  for (int64_t m = 0; m < count; ++m) {
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = a + (m * rows + r) * depth;
      for (int64_t i = 0; i < depth; ++i) {
        for (int64_t j = 0; j < depth; ++j) out[(m * depth + i) * depth + j] += row[i] * row[j];
      }
    }
  }
}

void Device::sort_labels(const uint16_t* labels, int64_t count, int64_t, uint16_t* sorted,
                         int32_t* order) {
  std::iota(order, order + count, 0);
  std::stable_sort(order, order + count,
                   [&](int32_t a, int32_t b) { return labels[a] < labels[b]; });
  for (int64_t i = 0; i < count; ++i) sorted[i] = labels[order[i]];
}

void Device::exclusive_sum(int64_t* values, int64_t count) {
  std::exclusive_scan(values, values + count, values, int64_t{0});
}

}  // namespace hardmoe::cluster_cuda
