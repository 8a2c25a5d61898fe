// Last words of a process that can do little else: nothing here allocates, and signal handlers may use
// it.
#pragma once

#include <initializer_list>
#include <string_view>

namespace hardmoe {

/// Sets what the sentence begins with; must outlive the process.
void set_emergency_name(const char* program) noexcept;

/// Writes the pieces as one sentence, in the form of log_failure() (base/log.h).
void write_emergency(std::initializer_list<std::string_view> pieces) noexcept;

/// Makes a crash end with a sentence: an exception that nobody catches, such as want of memory within
/// a thread or a library, and a wrong access or an overflow of the stack (SIGSEGV). Where the
/// process's memory is limited (ulimit -v), libraries crash for want of it; then the sentence says so,
/// and the status is failed. Call it once, at the start of main.
void install_crash_handlers();

}  // namespace hardmoe
