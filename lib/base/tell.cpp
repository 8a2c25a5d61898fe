#include "base/tell.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "base/json_line.h"

namespace hardmoe {
namespace {

constexpr size_t longest_message = 3000;  // bytes, so that a line fits into PIPE_BUF

/// Returns the descriptor, made not to wait; -1 if there is none.
int find_listener() {
  const char* text = std::getenv(tell_variable);
  if (text == nullptr) return -1;
  int descriptor = -1;
  const char* end = text + std::strlen(text);
  if (const auto [rest, error] = std::from_chars(text, end, descriptor);
      error != std::errc() || rest != end || descriptor <= STDERR_FILENO) {
    return -1;
  }
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return -1;
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);  // it is not for our own children
  ::unsetenv(tell_variable);
  return descriptor;
}

int listener() {
  static const int descriptor = find_listener();
  return descriptor;
}

}  // namespace

bool has_listener() { return listener() >= 0; }

void tell_listener(Json object) noexcept {
  if (!has_listener()) return;
  try {
    if (const auto message = object.find("message"); message != object.end()) {
      auto& text = message->get_ref<std::string&>();
      if (text.size() > longest_message) text.resize(longest_message);
    }
    const std::string line = json_line(object);
    if (line.size() > PIPE_BUF) return;
    static_cast<void>(!::write(listener(), line.data(), line.size()));
  } catch (...) {  // a message less
  }
}

}  // namespace hardmoe
