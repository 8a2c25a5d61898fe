// For builds without the CUDA toolkit.
#pragma once

namespace hardmoe {

/// Throws Error(usage): "--device cuda:N: this build has no GPU engine", with what CMake missed.
[[noreturn]] void fail_no_cuda(int device);

}  // namespace hardmoe
