// V activations or floats as one memory access: 128 bits where V·sizeof(T) allows. Held as they lie
// in memory, to cost few registers, and unpacked to float where they are used.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "engine/spec.h"
#include "tensor/dtype.h"

namespace hardmoe::cuda {

__device__ __forceinline__ float low_half(uint32_t word) { return __uint_as_float(word << 16); }
__device__ __forceinline__ float high_half(uint32_t word) {
  return __uint_as_float(word & 0xFFFF0000U);
}
/// Two floats rounded to nearest even; a NaN stays one.
__device__ __forceinline__ uint32_t round_two(float low, float high) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  uint32_t word;
  memcpy(&word, &both, sizeof word);
  return word;
}

template <class T, int V>
struct Pack;

template <>
struct Pack<float, 1> {
  float word;
  __device__ __forceinline__ void unpack(float (&v)[1]) const { v[0] = word; }
  __device__ __forceinline__ static Pack of(const float (&v)[1]) { return {v[0]}; }
};

template <>
struct alignas(16) Pack<float, 4> {
  float4 word;
  __device__ __forceinline__ void unpack(float (&v)[4]) const {
    v[0] = word.x, v[1] = word.y, v[2] = word.z, v[3] = word.w;
  }
  __device__ __forceinline__ static Pack of(const float (&v)[4]) {
    return {make_float4(v[0], v[1], v[2], v[3])};
  }
};

template <>
struct alignas(16) Pack<float, 8> {
  float4 low, high;
  __device__ __forceinline__ void unpack(float (&v)[8]) const {
    v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w;
    v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
  }
  __device__ __forceinline__ static Pack of(const float (&v)[8]) {
    return {make_float4(v[0], v[1], v[2], v[3]), make_float4(v[4], v[5], v[6], v[7])};
  }
};

template <>
struct Pack<BFloat16, 1> {
  uint16_t word;
  __device__ __forceinline__ void unpack(float (&v)[1]) const { v[0] = low_half(word); }
  __device__ __forceinline__ static Pack of(const float (&v)[1]) {
    return {static_cast<uint16_t>(round_two(v[0], 0.0F))};
  }
};

template <>
struct alignas(8) Pack<BFloat16, 4> {
  uint2 word;
  __device__ __forceinline__ void unpack(float (&v)[4]) const {
    v[0] = low_half(word.x), v[1] = high_half(word.x);
    v[2] = low_half(word.y), v[3] = high_half(word.y);
  }
  __device__ __forceinline__ static Pack of(const float (&v)[4]) {
    return {make_uint2(round_two(v[0], v[1]), round_two(v[2], v[3]))};
  }
};

template <>
struct alignas(16) Pack<BFloat16, 8> {
  uint4 word;
  __device__ __forceinline__ void unpack(float (&v)[8]) const {
    v[0] = low_half(word.x), v[1] = high_half(word.x);
    v[2] = low_half(word.y), v[3] = high_half(word.y);
    v[4] = low_half(word.z), v[5] = high_half(word.z);
    v[6] = low_half(word.w), v[7] = high_half(word.w);
  }
  __device__ __forceinline__ static Pack of(const float (&v)[8]) {
    return {make_uint4(round_two(v[0], v[1]), round_two(v[2], v[3]), round_two(v[4], v[5]),
                       round_two(v[6], v[7]))};
  }
};

template <int V, class T>
__device__ __forceinline__ Pack<T, V> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T, V>*>(p);
}
template <class T, int V>
__device__ __forceinline__ void load(const T* p, float (&v)[V]) {
  load_pack<V>(p).unpack(v);
}
template <class T, int V>
__device__ __forceinline__ void store(T* p, const float (&v)[V]) {
  *reinterpret_cast<Pack<T, V>*>(p) = Pack<T, V>::of(v);
}

/// An element type and how many of them one access takes.
template <class T, int V>
struct Access {
  using Type = T;
  static constexpr int width = V;
};

/// Elements of one access to rows of this many channels.
inline int access_width(Precision precision, int64_t channels) {
  const int widest = precision == Precision::bf16 ? 8 : 4;
  return channels % widest == 0 ? widest : 1;
}

/// Calls body(Access<T, V>{}) for the precision and the widest access that divides `channels`.
template <class Body>
void with_access(Precision precision, int64_t channels, const Body& body) {
  const bool wide = access_width(precision, channels) > 1;
  if (precision == Precision::bf16) {
    wide ? body(Access<BFloat16, 8>{}) : body(Access<BFloat16, 1>{});
  } else {
    wide ? body(Access<float, 4>{}) : body(Access<float, 1>{});
  }
}

}  // namespace hardmoe::cuda
