// What the CPU's layers of gates have in common: rows in parallel, numbers of either precision, and
// sums over rows that do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/vector.h"
#include "engine/gate_choice.h"
#include "engine/work.h"

namespace hardmoe::cpu {

/// Numbers of a row, in float or bf16; perhaps none.
template <class T>
struct GateNumbers {
  T* data = nullptr;

  explicit operator bool() const { return data != nullptr; }
  float at(int i) const { return load_one(data + i); }
  void set(int i, float value) const { store_one(data + i, value); }
  /// Returns the numbers from number `first` on; none of none.
  GateNumbers from(int64_t first) const { return {data == nullptr ? nullptr : data + first}; }
};

/// Calls body(GateNumbers) with the array's, which may be empty.
template <class Body>
void with_gate_numbers(Activations array, const Body& body) {
  if (array.precision == Precision::bf16) {
    body(GateNumbers<BFloat16>{static_cast<BFloat16*>(array.data)});
  } else {
    body(GateNumbers<float>{static_cast<float*>(array.data)});
  }
}

/// Calls body(row) for rows 0 … n−1, in parallel.
template <class Body>
void for_gate_rows(int64_t n, const Body& body) {
  constexpr int64_t grain = 256;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

/// Returns what turns gradients of gates y (rows×experts) into those of what they were made from, in
/// place. `softmax`: as of differentiate_gates() (engine/gate_choice.h).
inline Work gate_gradient(const float* y, Activations dy, int64_t rows, int experts, bool softmax) {
  return [=] {
    with_gate_numbers(dy, [&](const auto& gradient) {
      for_gate_rows(rows, [&](int64_t row) {
        differentiate_gates(y + row * experts, experts, softmax, gradient.from(row * experts));
      });
    });
  };
}

/// Adds rows×experts up over rows, in a fixed order.
class GateSums {
 public:
  GateSums(int64_t rows, int64_t experts)
      : rows_(rows),
        experts_(experts),
        partial_(static_cast<size_t>((rows + chunk - 1) / chunk * experts)),
        sums_(static_cast<size_t>(experts)) {}

  /// Returns the sums, which the next call overwrites.
  const float* of(const float* gates) {
    const int64_t chunks = (rows_ + chunk - 1) / chunk;
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        double* sum = partial_.data() + part * experts_;
        std::fill_n(sum, experts_, 0.0);
        for (int64_t row = part * chunk; row < std::min(rows_, (part + 1) * chunk); ++row) {
          for (int64_t i = 0; i < experts_; ++i) sum[i] += double{gates[row * experts_ + i]};
        }
      }
    });
    for (int64_t i = 0; i < experts_; ++i) {
      double sum = 0;
      for (int64_t part = 0; part < chunks; ++part) {
        sum += partial_[static_cast<size_t>(part * experts_ + i)];
      }
      sums_[static_cast<size_t>(i)] = static_cast<float>(sum);
    }
    return sums_.data();
  }

 private:
  static constexpr int64_t chunk = 512;  ///< rows that one thread adds up
  int64_t rows_, experts_;
  std::vector<double> partial_;  ///< of each chunk
  std::vector<float> sums_;
};

}  // namespace hardmoe::cpu
