#include "engine/engine.h"

#include <charconv>

#include "base/error.h"
#include "engine/cpu/engine.h"
#include "engine/cuda_engine.h"

namespace hardmoe {

std::unique_ptr<Engine> make_engine(const std::string& device) {
  if (device == "cpu") return cpu::make_cpu_engine();
  if (device == "cuda") return make_cuda_engine(0);
  int number = -1;
  if (device.starts_with("cuda:")) {
    const char* end = device.data() + device.size();
    const auto [rest, error] = std::from_chars(device.data() + 5, end, number);
    if (error == std::errc() && rest == end && number >= 0) return make_cuda_engine(number);
  }
  fail_usage("--device: expected cpu, cuda or cuda:N, found '{}'", device);
}

}  // namespace hardmoe
