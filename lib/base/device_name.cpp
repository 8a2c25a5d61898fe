#include "base/device_name.h"

#include <charconv>

#include "base/error.h"

namespace hardmoe {

std::optional<int> parse_device_name(const std::string& name) {
  if (name == "cpu") return std::nullopt;
  if (name == "cuda") return 0;
  int number = -1;
  if (name.starts_with("cuda:")) {
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + 5, end, number);
    if (error == std::errc() && rest == end && number >= 0) return number;
  }
  fail_usage("device: expected cpu, cuda or cuda:N, found '{}'", name);
}

}  // namespace hardmoe
