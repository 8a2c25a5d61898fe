#include "base/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/write_all.h"

namespace hardmoe {
namespace {

constexpr size_t buffer_bytes = size_t{1} << 18;

}  // namespace

AppendFile::AppendFile(std::filesystem::path file, int64_t keep)
    : path_(std::move(file)), size_(keep) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  struct stat info = {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0) fail_writing(path_);
  if (info.st_size < keep) {
    fail("{}: {} bytes, {} were written before the interruption; start anew in an empty folder",
         path_.string(), info.st_size, keep);
  }
  if (::ftruncate(descriptor_, keep) != 0) fail_writing(path_);
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

AppendFile::AppendFile(AppendFile&& other) noexcept { *this = std::move(other); }

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(buffer_, other.buffer_);
  std::swap(size_, other.size_);
  std::swap(crc32c_, other.crc32c_);
  std::swap(summed_, other.summed_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void AppendFile::write(const void* bytes, size_t count) {
  if (summed_ == size_) {
    crc32c_ = hardmoe::crc32c(bytes, count, crc32c_);
    summed_ += static_cast<int64_t>(count);
  }
  buffer_.append(static_cast<const char*>(bytes), count);
  size_ += static_cast<int64_t>(count);
  if (buffer_.size() >= buffer_bytes) flush();
}

void AppendFile::overwrite(int64_t at, const void* bytes, size_t count) {
  flush();
  crc32c_ = 0;
  summed_ = 0;
  write_all(descriptor_, static_cast<const char*>(bytes), count, static_cast<size_t>(at), path_);
}

void AppendFile::flush() {
  if (buffer_.empty()) return;
  write_all(descriptor_, buffer_.data(), buffer_.size(),
            static_cast<size_t>(size_) - buffer_.size(), path_);
  buffer_.clear();
}

std::string AppendFile::read(int64_t at, size_t count) {
  flush();
  std::string bytes(count, '\0');
  size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data() + done, count - done, at + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      fail("reading {}: {}", path_.string(), got == 0 ? "too short" : std::strerror(errno));
    done += static_cast<size_t>(got);
  }
  return bytes;
}

uint32_t AppendFile::crc32c() {
  constexpr int64_t piece = int64_t{1} << 20;
  while (summed_ < size_) {
    const auto bytes = read(summed_, static_cast<size_t>(std::min(piece, size_ - summed_)));
    crc32c_ = hardmoe::crc32c(bytes.data(), bytes.size(), crc32c_);
    summed_ += static_cast<int64_t>(bytes.size());
  }
  return crc32c_;
}

void AppendFile::sync() {
  flush();
  if (::fdatasync(descriptor_) != 0) fail_writing(path_);
}

}  // namespace hardmoe
