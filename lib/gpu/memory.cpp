#include "gpu/memory.h"

#include "base/error.h"

namespace hardmoe::cuda {
namespace {

double gibibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace

Memory device_memory(Gpu& gpu, int64_t bytes, const char* what, const char* advice) {
  if (bytes == 0) return {};
  void* data = gpu.allocate(bytes);
  if (data == nullptr) {
    fail("cuda:{} has no {:.2f} GiB for {} ({:.2f} of {:.2f} GiB free): {}", gpu.number(),
         gibibytes(bytes), what, gibibytes(gpu.free_bytes()), gibibytes(gpu.total_bytes()), advice);
  }
  return {gpu, data, bytes, false};
}

Memory pinned_memory(Gpu& gpu, int64_t bytes, const char* what) {
  if (bytes == 0) return {};
  void* data = gpu.allocate_pinned(bytes);
  if (data == nullptr) {
    fail(
        "no {:.2f} GiB of pinned host memory for {}: use a smaller batch, or raise the limit on "
        "locked memory (ulimit -l)",
        gibibytes(bytes), what);
  }
  return {gpu, data, bytes, true};
}

}  // namespace hardmoe::cuda
