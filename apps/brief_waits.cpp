#include "brief_waits.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace hardmoe {

void wait_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  // By its own name, which ps and killall show; /proc/self/exe would show as "exe".
  std::error_code unknown;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  constexpr const char* spins = "60000";  // longer than most waits within a step, far from a slice
  if (unknown || ::setenv("GOMP_SPINCOUNT", spins, 1) != 0) return;
  ::execv(program.c_str(), argv);
}

}  // namespace hardmoe
