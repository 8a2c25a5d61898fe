// NVIDIA GPUs as devices. CMake builds engine/cuda/ where the CUDA toolkit was found and
// engine/no_cuda/ where it was not; both define this.
#pragma once

#include <memory>

#include "engine/engine.h"

namespace hardmoe {

/// GPU number `device`. Throws Error(usage) saying what is missing.
std::unique_ptr<Engine> make_cuda_engine(int device);

}  // namespace hardmoe
