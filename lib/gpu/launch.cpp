#include "base/error.h"

namespace hardmoe::cuda {

// Declared in launch.cuh, which only compilers for the device read.
[[noreturn]] void launch_failed(const char* name, const char* reason);
void launch_failed(const char* name, const char* reason) {
  fail("CUDA kernel '{}' could not be started: {}", name, reason);
}

}  // namespace hardmoe::cuda
