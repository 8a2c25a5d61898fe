#include "base/open_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace hardmoe {
namespace {

void close_end(int& end) {
  if (end >= 0) ::close(std::exchange(end, -1));
}

}  // namespace

OpenPipe::OpenPipe() {
  if (::pipe2(ends_, O_CLOEXEC) != 0) fail("opening a pipe: {}", std::strerror(errno));
  ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
}

OpenPipe::~OpenPipe() {
  for (int& end : ends_) close_end(end);
}

OpenPipe::OpenPipe(OpenPipe&& other) noexcept
    : ends_{std::exchange(other.ends_[0], -1), std::exchange(other.ends_[1], -1)} {}

OpenPipe& OpenPipe::operator=(OpenPipe&& other) noexcept {
  for (int i = 0; i < 2; ++i) std::swap(ends_[i], other.ends_[i]);
  return *this;
}

void OpenPipe::close_writing_end() { close_end(ends_[1]); }

std::string OpenPipe::read_available() const {
  std::string bytes;
  std::array<char, 4096> piece;
  for (ssize_t count; (count = ::read(ends_[0], piece.data(), piece.size())) != 0;) {
    if (count > 0) {
      bytes.append(piece.data(), static_cast<size_t>(count));
    } else if (errno != EINTR) {
      break;
    }
  }
  return bytes;
}

}  // namespace hardmoe
