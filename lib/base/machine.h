// What a machine is called, for records of where something was computed.
#pragma once

#include <string>

namespace hardmoe {

/// Returns the processor's name and how many of them this process may run on: "AMD EPYC 9B14, 2
/// processors". Where the system does not tell a name: "2 processors".
std::string machine_name();

}  // namespace hardmoe
