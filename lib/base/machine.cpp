#include "base/machine.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

/// Returns the processor's name as Linux tells it; "" if it does not.
std::string processor_name() {
  try {
    for (const auto& line : split(read_file("/proc/cpuinfo"), '\n')) {
      if (!line.starts_with("model name")) continue;
      return std::string(trim(std::string_view(line).substr(line.find(':') + 1)));
    }
  } catch (const Error&) {  // no such file
  }
  return {};
}

}  // namespace

std::string machine_name() {
  const std::string name = processor_name();
  const int count = available_processors();
  return fmt::format("{}{}{} processor{}", name, name.empty() ? "" : ", ", count,
                     count == 1 ? "" : "s");
}

}  // namespace hardmoe
