// One GPU as this folder sees it: memory, copies, one queue, and the few library calls that
// clustering needs (cuBLAS, CUB). All vendor calls but kernel launches are in device.cu, so that
// tests put plain loops in their place and run the rest of the folder without a GPU. Everything is
// enqueued in order; only download() waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct CUstream_st;

namespace hardmoe::cluster_cuda {

using Stream = CUstream_st*;

/// For the thread that made it.
class Device {
 public:
  /// Throws Error(usage) if there is no such GPU or no cuBLAS, saying what is missing.
  explicit Device(int number);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// "NVIDIA H100 80GB HBM3, cuBLAS 13.0".
  std::string describe() const;
  Stream stream() const;
  int64_t total_bytes() const;
  int64_t free_bytes() const;

  /// Throws Error naming the bytes if they are not there.
  void* allocate(int64_t bytes);
  void release(void* memory) noexcept;
  /// `from` may change as soon as this returns.
  void upload(void* to, const void* from, int64_t bytes);
  /// Waits for everything enqueued before.
  void download(void* to, const void* from, int64_t bytes);
  void copy(void* to, const void* from, int64_t bytes);
  void zero(void* to, int64_t bytes);

  /// out (m×n) = a (m×k) · bᵀ, b n×k; all row-major without gaps, float32 throughout.
  void multiply(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* out);
  /// out[i] (depth×depth) = aᵢᵀ · aᵢ for `count` matrices a (rows×depth), one after another.
  void squares(const float* a, int64_t count, int64_t rows, int64_t depth, float* out);
  /// Sorts `count` labels below `labels_below`; order: where each stood, equal ones in their order.
  void sort_labels(const uint16_t* labels, int64_t count, int64_t labels_below, uint16_t* sorted,
                   int32_t* order);
  /// values[i] = Σ of those before it.
  void exclusive_sum(int64_t* values, int64_t count);

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

/// Device memory that grows when asked for more; its content is then lost.
template <class T>
class Buffer {
 public:
  explicit Buffer(Device& device) : device_(&device) {}
  ~Buffer() { device_->release(data_); }
  Buffer(Buffer&& other) noexcept
      : device_(other.device_), data_(other.data_), capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.capacity_ = 0;
  }
  Buffer& operator=(Buffer&&) = delete;

  T* reserve(int64_t count) {
    if (count > capacity_) {
      device_->release(data_);
      data_ = nullptr;
      capacity_ = 0;
      data_ = static_cast<T*>(device_->allocate(count * bytes));
      capacity_ = count;
    }
    return data_;
  }
  T* upload(const T* values, int64_t count) {
    device_->upload(reserve(count), values, count * bytes);
    return data_;
  }
  std::vector<T> download(int64_t count) const {
    std::vector<T> values(static_cast<size_t>(count));
    device_->download(values.data(), data_, count * bytes);
    return values;
  }
  T* data() const { return data_; }

 private:
  static constexpr int64_t bytes = sizeof(T);
  Device* device_;
  T* data_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace hardmoe::cluster_cuda
