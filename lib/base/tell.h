// Messages to the program that started this one, beside the log: how far it is, and why it fails. They
// are lines of JSON on the descriptor whose number is in HARDMOE_TELL; without it nobody listens.
#pragma once

#include "base/json.h"

namespace hardmoe {

inline constexpr const char* tell_variable = "HARDMOE_TELL";

/// Returns whether someone listens.
bool has_listener();

/// Sends the object as a line, at once and whole, or not at all: it never waits for a listener that
/// is slow. A text "message" of more than 3,000 bytes is cut. Never throws.
void tell_listener(Json object) noexcept;

}  // namespace hardmoe
