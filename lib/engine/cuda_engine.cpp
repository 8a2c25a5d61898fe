#include "engine/cuda_engine.h"

#include "gpu/devices.h"

namespace hardmoe {

bool trains_in(int capability, Precision) { return capability >= cuda::oldest_capability; }

}  // namespace hardmoe
