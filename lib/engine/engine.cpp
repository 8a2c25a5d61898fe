#include "engine/engine.h"

#include "base/device_name.h"
#include "engine/cpu/engine.h"
#include "engine/cuda_engine.h"

namespace hardmoe {

double Program::take_loss() {
  const std::vector<double> losses = take_losses();
  double sum = 0;
  for (size_t i = 0; i < losses.size(); ++i) sum += double{losses_[i].weight} * losses[i];
  return sum;
}

std::unique_ptr<Engine> make_engine(const std::string& device) {
  const auto gpu = parse_device_name(device);
  return gpu ? make_cuda_engine(*gpu) : cpu::make_cpu_engine();
}

}  // namespace hardmoe
