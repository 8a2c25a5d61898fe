// One attribute, for short functions that both engines run: on the CPU they are inline functions,
// in kernels the device's. They call nothing but C's mathematical functions and one another.
#pragma once

#ifdef __CUDACC__
#define HARDMOE_BOTH_ENGINES __host__ __device__ __forceinline__
#else
#define HARDMOE_BOTH_ENGINES inline
#endif
