// Device memory that grows when asked for more; its content is then lost.
#pragma once

#include <vector>

#include "gpu/memory.h"

namespace hardmoe::cluster_cuda {

template <class T>
class Buffer {
 public:
  explicit Buffer(cuda::Gpu& gpu) : gpu_(&gpu) {}

  T* reserve(int64_t count) {
    if (count * bytes > memory_.bytes()) {
      memory_ = {};
      memory_ = cuda::device_memory(*gpu_, count * bytes, "clustering",
                                    "end what else uses it, or use --device cpu");
    }
    return data();
  }
  T* upload(const T* values, int64_t count) {
    gpu_->upload(reserve(count), values, count * bytes);
    return data();
  }
  std::vector<T> download(int64_t count) const {
    std::vector<T> values(static_cast<size_t>(count));
    gpu_->download(values.data(), data(), count * bytes);
    return values;
  }
  T* data() const { return memory_.as<T>(); }

 private:
  static constexpr int64_t bytes = sizeof(T);
  cuda::Gpu* gpu_;
  cuda::Memory memory_;
};

}  // namespace hardmoe::cluster_cuda
