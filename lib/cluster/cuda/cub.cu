#include "cluster/cuda/cub.h"

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "gpu/launch.cuh"

namespace hardmoe::cluster_cuda {
namespace {

using cuda::divide_up;
using cuda::launch;
using cuda::Stream;

constexpr int threads = 256;

__global__ void count_up(int32_t* values, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i < count) values[i] = static_cast<int32_t>(i);
}

/// CUB's scratch, rounded up so that what lies behind it is aligned.
int64_t rounded(size_t bytes) { return divide_up(static_cast<int64_t>(bytes), 256) * 256; }

cudaError_t radix_sort(void* scratch, size_t& bytes, const uint16_t* labels, const int32_t* numbers,
                       int64_t count, int bits, uint16_t* sorted, int32_t* order, Stream stream) {
  return cub::DeviceRadixSort::SortPairs(scratch, bytes, labels, sorted, numbers, order,
                                         static_cast<int>(count), 0, bits, stream);
}

}  // namespace

int64_t sort_scratch(int64_t count, int bits) {
  size_t bytes = 0;
  radix_sort(nullptr, bytes, nullptr, nullptr, count, bits, nullptr, nullptr, nullptr);
  return rounded(bytes) + count * static_cast<int64_t>(sizeof(int32_t));  // and the rows' numbers
}

int sort_pairs(void* scratch, int64_t scratch_bytes, const uint16_t* labels, int64_t count,
               int bits, uint16_t* sorted, int32_t* order, Stream stream) {
  const int64_t own = scratch_bytes - count * static_cast<int64_t>(sizeof(int32_t));
  auto* numbers = reinterpret_cast<int32_t*>(static_cast<char*>(scratch) + own);
  launch("count up", count_up, divide_up(count, threads), threads, 0, stream, numbers, count);
  auto bytes = static_cast<size_t>(own);
  return radix_sort(scratch, bytes, labels, numbers, count, bits, sorted, order, stream);
}

int64_t sum_scratch(int64_t count) {
  size_t bytes = 0;
  int64_t* none = nullptr;
  cub::DeviceScan::ExclusiveSum(nullptr, bytes, none, none, static_cast<int>(count));
  return rounded(bytes);
}

int exclusive_sum(void* scratch, int64_t scratch_bytes, int64_t* values, int64_t count,
                  Stream stream) {
  auto bytes = static_cast<size_t>(scratch_bytes);
  return cub::DeviceScan::ExclusiveSum(scratch, bytes, values, values, static_cast<int>(count),
                                       stream);
}

}  // namespace hardmoe::cluster_cuda
