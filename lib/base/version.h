// The toolkit's version, set once in CMakeLists.txt.
#pragma once

namespace hardmoe {
inline constexpr const char* version = HARDMOE_VERSION;
}
