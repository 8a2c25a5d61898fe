// The names that --device takes: cpu, cuda, cuda:N. Whether such a device exists is for the rooms
// that compute.
#pragma once

#include <optional>
#include <string>

namespace hardmoe {

/// Returns the number of the NVIDIA GPU that `name` means (0 for "cuda"), or nothing for "cpu".
/// Throws Error(usage) for any other name.
std::optional<int> parse_device_name(const std::string& name);

}  // namespace hardmoe
