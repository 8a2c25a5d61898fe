// The gradient of what gates came from, in place, for the operators that choose among values.
#pragma once

#include "engine/cuda/gate_rows.cuh"
#include "engine/gate_choice.h"

namespace hardmoe::cuda {

template <class T>
struct DifferentiateGates {
  const float* gates;
  int experts;
  int64_t held;
  bool softmax;
  GateNumbers<T> gradient;

  __device__ __forceinline__ void operator()(int64_t row) const {
    differentiate_gates(gates + row * held, experts, softmax, gradient.from(row * held));
  }
};

/// Enqueues it for rows×held gates, the first `experts` of which are no padding. The gradient's padding
/// stays as it is: zero.
inline void differentiate_gates(const char* name, const float* gates, int64_t rows, int experts,
                                int64_t held, bool softmax, Activations gradient, Stream stream) {
  with_type(gradient, [&]<class T>(T* data) {
    for_gate_rows(name, rows, DifferentiateGates<T>{gates, experts, held, softmax, {data}}, stream);
  });
}

}  // namespace hardmoe::cuda
