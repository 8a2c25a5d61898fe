// The library calls of lib/cluster/cuda/device.h as plain loops.
#include <algorithm>
#include <numeric>

#include "cluster/cuda/device.h"
#include "streams.h"

namespace hardmoe::cluster_cuda {

using cuda_emulation::enqueue;

struct Device::Blas {};

Device::Device(int number) : Gpu(number), scratch_(*this) {}
Device::~Device() = default;
std::string Device::describe() const { return "emulated"; }

void Device::multiply(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* out) {
  enqueue(compute(), [=] {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        out[i * n + j] = std::inner_product(a + i * k, a + (i + 1) * k, b + j * k, 0.0F);
      }
    }
  });
}

void Device::squares(const float* a, int64_t count, int64_t rows, int64_t depth, float* out) {
  enqueue(compute(), [=] {
    std::fill_n(out, count * depth * depth, 0.0F);
    for (int64_t m = 0; m < count; ++m) {
      for (int64_t r = 0; r < rows; ++r) {
        const float* row = a + (m * rows + r) * depth;
        for (int64_t i = 0; i < depth; ++i) {
          for (int64_t j = 0; j < depth; ++j) out[(m * depth + i) * depth + j] += row[i] * row[j];
        }
      }
    }
  });
}

void Device::sort_labels(const uint16_t* labels, int64_t count, int64_t, uint16_t* sorted,
                         int32_t* order) {
  enqueue(compute(), [=] {
    std::iota(order, order + count, 0);
    std::stable_sort(order, order + count,
                     [&](int32_t a, int32_t b) { return labels[a] < labels[b]; });
    for (int64_t i = 0; i < count; ++i) sorted[i] = labels[order[i]];
  });
}

void Device::exclusive_sum(int64_t* values, int64_t count) {
  enqueue(compute(), [=] { std::exclusive_scan(values, values + count, values, int64_t{0}); });
}

}  // namespace hardmoe::cluster_cuda
