#include "engine/profile.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace hardmoe {

std::vector<ProfileLine> merged_profile(const std::vector<ProfileLine>& lines) {
  std::map<std::string, double> seconds;
  for (const ProfileLine& line : lines) seconds[line.name] += line.seconds;
  std::vector<ProfileLine> merged;
  for (const auto& [name, value] : seconds) merged.push_back({name, value});
  std::stable_sort(merged.begin(), merged.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return merged;
}

void require_mode(const CompileOptions& options, Mode mode, const char* call) {
  if (options.mode == mode) return;
  fail("{} on a program compiled for {}", call,
       options.mode == Mode::train ? "training" : "inference");
}

}  // namespace hardmoe
