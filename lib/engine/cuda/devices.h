// Which GPUs are here and what they can. Behind cuda_engine.h and gpu.h.
#pragma once

#include "engine/spec.h"

namespace hardmoe::cuda {

/// Makes GPU `number` the thread's current one. Throws Error(usage) if there is no such GPU, no
/// driver, or if another process holds it alone.
void choose_device(int number);

/// Of compute capability `capability` (90 for 9.0). Kernels are built for 8.0 and newer.
bool trains_in(int capability, Precision precision);

}  // namespace hardmoe::cuda
