#include "engine/engine.h"

#include "base/device_name.h"
#include "engine/cpu/engine.h"
#include "engine/cuda_engine.h"

namespace hardmoe {

std::unique_ptr<Engine> make_engine(const std::string& device) {
  const auto gpu = parse_device_name(device);
  return gpu ? make_cuda_engine(*gpu) : cpu::make_cpu_engine();
}

}  // namespace hardmoe
