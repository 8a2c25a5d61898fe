// The CPU as a device.
#pragma once

#include <memory>

#include "engine/engine.h"

namespace hardmoe::cpu {

std::unique_ptr<Engine> make_cpu_engine();

}  // namespace hardmoe::cpu
