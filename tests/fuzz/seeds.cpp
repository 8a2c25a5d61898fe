#include "fuzz/targets.h"

#include <algorithm>

#include "base/error.h"
#include "test_files.h"

namespace hardmoe {
namespace fs = std::filesystem;

const FuzzTarget& fuzz_target(std::string_view name) {
  for (const FuzzTarget& target : fuzz_targets()) {
    if (target.name == name) return target;
  }
  throw std::invalid_argument("no fuzz target " + std::string(name));
}

std::vector<fs::path> seeds_of(const FuzzTarget& target) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(test_files() / target.seeds)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && std::ranges::count(target.extensions, extension) > 0) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void read_damaged(const FuzzTarget& target, std::string_view bytes) {
  try {
    target.read(bytes);
  } catch (const Error&) {  // what a damaged file is answered with
  }
}

}  // namespace hardmoe
