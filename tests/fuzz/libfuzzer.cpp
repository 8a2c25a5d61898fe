// One fuzz target as a program of libFuzzer's (https://llvm.org/docs/LibFuzzer.html), which begins
// with the stored seeds: fuzz_tar -max_total_time=60 [a folder for what it finds]
#include <cstdint>

#include "fuzz/targets.h"

namespace {
const hardmoe::FuzzTarget& target = hardmoe::fuzz_target(HARDMOE_FUZZ_TARGET);
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::string seeds = "-seed_inputs=";
  for (const auto& file : hardmoe::seeds_of(target)) seeds += file.string() + ",";
  seeds.pop_back();
  static std::vector<char*> arguments(*argv, *argv + *argc);
  arguments.push_back(seeds.data());
  *argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  *argv = arguments.data();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hardmoe::read_damaged(target, {reinterpret_cast<const char*>(data), size});
  return 0;
}
