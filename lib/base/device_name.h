// The names that --device takes: cpu, cuda, cuda:N. What is behind them is for the rooms that
// compute.
#pragma once

#include <optional>
#include <string>

namespace hardmoe {

/// The number of the NVIDIA GPU that `name` means ("cuda" is number 0), or nothing for "cpu".
/// Throws Error(usage) for any other name.
std::optional<int> parse_device_name(const std::string& name);

}  // namespace hardmoe
