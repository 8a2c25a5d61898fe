// NVIDIA GPUs as devices. CMake builds engine/cuda/ where the CUDA toolkit was found and
// engine/no_cuda/ where it was not; both define this.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"

namespace hardmoe {

/// GPU number `device`. Throws Error(usage) saying what is missing.
std::unique_ptr<Engine> make_cuda_engine(int device);

/// Of compute capability `capability` (90 for 9.0).
bool trains_in(int capability, Precision precision);

/// cuDNN's description of a GPU as JSON: with it, plans for that GPU are made on machines without
/// one (tests/files/devices). Throws Error(usage) as make_cuda_engine().
std::string describe_cuda_device(int device);

}  // namespace hardmoe
