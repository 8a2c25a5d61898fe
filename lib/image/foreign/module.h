// The module of foreign codecs, loaded once. For foreign.cpp.
#pragma once

#include <string>

#include "image/foreign/codecs.h"

namespace hardmoe {

/// The module's functions; null where it cannot be loaded, and `why` says why.
const ForeignCodecs* foreign_codecs(std::string& why);

}  // namespace hardmoe
