// See cuda_runtime.h beside this.
#pragma once

#include "tensor/dtype.h"

struct __nv_bfloat162 {
  hardmoe::BFloat16 x, y;
};
inline __nv_bfloat162 __floats2bfloat162_rn(float low, float high) {
  return {hardmoe::to_bfloat16(low), hardmoe::to_bfloat16(high)};
}
