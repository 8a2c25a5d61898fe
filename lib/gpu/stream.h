// The CUDA runtime's handles of a queue and an event, without its headers.
#pragma once

struct CUstream_st;
struct CUevent_st;

namespace hardmoe::cuda {

using Stream = CUstream_st*;
using Event = CUevent_st*;

}  // namespace hardmoe::cuda
