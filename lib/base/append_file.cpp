#include "base/append_file.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/folders.h"

namespace hardmoe {
namespace {

constexpr size_t buffer_bytes = size_t{1} << 18;

}  // namespace

AppendFile::AppendFile(std::filesystem::path file, int64_t keep)
    : size_(keep), file_(std::move(file), O_RDWR | O_CREAT) {
  const auto found = static_cast<int64_t>(file_.status().st_size);
  if (found < keep) {
    fail("{}: {} bytes, {} were written before the interruption; start anew in an empty folder",
         path().string(), found, keep);
  }
  file_.truncate(static_cast<size_t>(keep));
}

AppendFile::AppendFile(OpenFile file) : file_(std::move(file)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(buffer_, other.buffer_);
  std::swap(size_, other.size_);
  std::swap(crc32c_, other.crc32c_);
  std::swap(summed_, other.summed_);
  std::swap(file_, other.file_);
  std::swap(name_is_synced_, other.name_is_synced_);
  std::swap(sync_failed_, other.sync_failed_);
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

void AppendFile::flush() {
  if (buffer_.empty()) return;
  file_.write_at(static_cast<size_t>(size_) - buffer_.size(), buffer_.data(), buffer_.size());
  buffer_.clear();
}

std::string AppendFile::read(int64_t at, size_t count) {
  flush();
  std::string bytes(count, '\0');
  file_.read_at(static_cast<size_t>(at), bytes.data(), count);
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
  if (sync_failed_) {
    fail("writing {}: what was written before could not be put on the disk", path().string());
  }
  flush();
  sync_failed_ = true;
  file_.sync();
  if (!name_is_synced_) sync_folder_of(path());
  name_is_synced_ = true;
  sync_failed_ = false;
}

}  // namespace hardmoe
