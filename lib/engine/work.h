// A piece of a step with its arguments bound.
#pragma once

#include <functional>

namespace hardmoe {

using Work = std::function<void()>;

}  // namespace hardmoe
