#include "base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file_system.h"
#include "base/folders.h"
#include "base/mapping_faults.h"
#include "base/signals.h"
#include "base/unfinished_file.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr size_t buffer_bytes = size_t{1} << 20;

/// All that is left to read, as a pipe or a file gives it.
template <class Take>
void read_all(int descriptor, std::string_view name, const Take& take) {
  char piece[1 << 16];
  while (true) {
    const ssize_t count =
        uninterrupted([&] { return file_system().read(descriptor, piece, sizeof piece); });
    if (count < 0) fail_reading(name);
    if (count == 0) return;
    take(std::string_view(piece, static_cast<size_t>(count)));
  }
}

/// Throws Error if there is something else than a file or a link, whose place a file would take.
void require_place_of_file(const fs::path& file) {
  std::error_code none;
  const fs::file_status status = fs::symlink_status(file, none);
  if (!fs::exists(status) || fs::is_regular_file(status) || fs::is_symlink(status)) return;
  fail("writing {}: it is no file, but a {}; name another", file.string(),
       fs::is_directory(status) ? "folder" : "device or pipe");
}

}  // namespace

std::string read_file(const fs::path& file) {
  const OpenFile input(file, O_RDONLY);
  const struct stat info = input.status();
  if (S_ISDIR(info.st_mode)) fail("reading {}: it is a folder, expected a file", file.string());
  std::string bytes;
  bytes.reserve(static_cast<size_t>(info.st_size));
  read_all(input.descriptor(), file.string(), [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

fs::path behind_links(const fs::path& file) {
  std::error_code none;
  const fs::path target = fs::is_symlink(file, none) ? fs::canonical(file, none) : fs::path();
  return target.empty() ? file : target;
}

void write_file_atomic(const fs::path& file, std::string_view bytes) {
  AtomicFile output(file);
  output.write(bytes);
  output.commit();
}

void copy_file_atomic(const fs::path& from, const fs::path& to) {
  const OpenFile input(from, O_RDONLY);
  AtomicFile output(to);
  read_all(input.descriptor(), from.string(), [&](std::string_view piece) { output.write(piece); });
  output.commit();
}

AtomicFile::AtomicFile(fs::path file) : file_(std::move(file)), temporary_(unfinished_name(file_)) {
  require_place_of_file(file_);
  output_ = open_unfinished(file_);
}

AtomicFile::~AtomicFile() {
  if (!output_.is_open()) return;
  output_.close();
  file_system().remove(temporary_);
}

void AtomicFile::write(const void* bytes, size_t count) {
  if (count >= buffer_bytes) {  // past the buffer, which would grow by as much
    flush();
    output_.write_at(size_, bytes, count);
    size_ += count;
    return;
  }
  size_ += count;
  buffer_.append(static_cast<const char*>(bytes), count);
  if (buffer_.size() >= buffer_bytes) flush();
}

void AtomicFile::flush() {
  output_.write_at(size_ - buffer_.size(), buffer_.data(), buffer_.size());
  buffer_.clear();
}

void AtomicFile::write_at(size_t offset, const void* bytes, size_t count) {
  flush();
  output_.write_at(offset, bytes, count);
}

void AtomicFile::commit(After after) {
  flush();
  output_.sync();
  if (file_system().rename(temporary_, file_) != 0) fail_writing(file_);
  output_.close();
  if (after == After::synced) sync_folder_of(file_);
}

TemporaryFile::TemporaryFile(const fs::path& begin) {
  const fs::path folder = begin.has_parent_path() ? begin.parent_path() : fs::path(".");
  const int unnamed =
      uninterrupted([&] { return file_system().open(folder, O_RDWR | O_TMPFILE, 0600); });
  if (unnamed >= 0) {
    file_ = OpenFile::of(unnamed, begin);
    return;
  }
  // Not every file system makes files without names: then one loses its own at once.
  constexpr int tries = 100;
  for (int i = 0;; ++i) {
    const fs::path name = temporary_name(begin);
    const int descriptor =
        uninterrupted([&] { return file_system().open(name, O_RDWR | O_CREAT | O_EXCL, 0600); });
    if (descriptor < 0 && errno == EEXIST && i < tries) continue;
    if (descriptor < 0) fail_writing(name);
    file_ = OpenFile::of(descriptor, name);
    file_system().remove(name);
    return;
  }
}

fs::path TemporaryFile::path() const {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), file_.descriptor());
}

namespace {

/// What there is instead of a file; nullptr for a file.
const char* other_than_file(mode_t mode) {
  return S_ISREG(mode)    ? nullptr
         : S_ISDIR(mode)  ? "folder"
         : S_ISFIFO(mode) ? "pipe"
         : S_ISSOCK(mode) ? "socket"
                          : "device";
}

void require_regular(const struct stat& info, const fs::path& file) {
  if (const char* what = other_than_file(info.st_mode)) {
    fail("reading {}: it is a {}, expected a file", file.string(), what);
  }
}

/// Opens a file of a known size. What is none is not opened: that may wait for ever, or set a
/// device going.
OpenFile open_regular(const fs::path& file, size_t& size) {
  struct stat info = {};
  if (file_system().status(file, Links::followed, info) != 0) fail_reading(file);
  require_regular(info, file);
  OpenFile input(file, O_RDONLY | O_NONBLOCK);
  info = input.status();
  require_regular(info, file);
  size = static_cast<size_t>(info.st_size);
  return input;
}

}  // namespace

std::string read_piece(const fs::path& file, size_t offset, size_t count) {
  std::string bytes(count, '\0');
  size_t done = 0;
  const int descriptor =
      uninterrupted([&] { return file_system().open(file, O_RDONLY | O_NONBLOCK, 0); });
  while (descriptor >= 0 && done < count) {
    const ssize_t found = uninterrupted([&] {
      return file_system().read_at(descriptor, bytes.data() + done, count - done,
                                   static_cast<int64_t>(offset + done));
    });
    if (found <= 0) break;
    done += static_cast<size_t>(found);
  }
  if (descriptor >= 0) file_system().close(descriptor);
  bytes.resize(done);
  return bytes;
}

InputFile::InputFile(const fs::path& file) : input_(open_regular(file, size_)) {}

void InputFile::prefetch(size_t offset, size_t count) const {
  file_system().prefetch(input_.descriptor(), static_cast<int64_t>(offset), count);
}

namespace {

void unmap(void* begin, size_t size) {
  forget_mapping(begin);
  ::munmap(begin, size);
}

}  // namespace

MappedPiece::MappedPiece(const InputFile& file, size_t offset, size_t count) {
  const OpenFile& input = file.input_;
  if (offset + count > static_cast<size_t>(input.status().st_size)) {
    fail("reading {}: it ends before byte {}; was it changed?", input.path().string(),
         offset + count);
  }
  const size_t before = offset % static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* mapped = file_system().map(input.descriptor(), before + count,
                                   static_cast<int64_t>(offset - before), Pages::at_once);
  if (mapped == nullptr) fail("mapping {}: {}", input.path().string(), std::strerror(errno));
  pages_ = static_cast<std::byte*>(mapped);
  size_ = before + count;
  data_ = pages_ + before;
  note_mapping(pages_, size_, input.path());
}

MappedPiece::~MappedPiece() {
  if (pages_ != nullptr) unmap(pages_, size_);
}

MappedPiece::MappedPiece(MappedPiece&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)), size_(other.size_), data_(other.data_) {}

MappedPiece& MappedPiece::operator=(MappedPiece&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(size_, other.size_);
  std::swap(data_, other.data_);
  return *this;
}

MappedFile::MappedFile(const fs::path& file) {
  const OpenFile input = open_regular(file, size_);
  if (size_ == 0) return;
  void* mapped = file_system().map(input.descriptor(), size_, 0, Pages::when_touched);
  if (mapped == nullptr) fail("mapping {}: {}", file.string(), std::strerror(errno));
  data_ = static_cast<const std::byte*>(mapped);
  note_mapping(data_, size_, file);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) unmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256::update(const void* bytes, size_t count) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes, count);
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest, &length);
  return fmt::format("{:02x}", fmt::join(digest, digest + length, ""));
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes.data(), bytes.size());
  return hash.hex();
}

std::string sha256_of_file(const fs::path& file) {
  const MappedFile mapped(file);
  constexpr size_t piece = size_t{4} << 20;
  Sha256 hash;
  for (auto rest = mapped.bytes(); !rest.empty();
       rest = rest.subspan(std::min(piece, rest.size()))) {
    throw_if_interrupted();
    hash.update(rest.data(), std::min(piece, rest.size()));
  }
  return hash.hex();
}

std::string fingerprint_of_file(const fs::path& file) {
  constexpr size_t whole = size_t{64} << 20, pieces = 256, piece = size_t{64} << 10;
  const InputFile input(file);
  if (input.size() <= whole) return sha256_of_file(file);
  Sha256 hash;
  const std::string size = fmt::format("{} bytes", input.size());
  hash.update(size.data(), size.size());
  std::string bytes(piece, '\0');
  for (size_t i = 0; i < pieces; ++i) {
    input.read_at((input.size() - piece) / (pieces - 1) * i, bytes.data(), piece);
    hash.update(bytes.data(), piece);
  }
  return hash.hex();
}

}  // namespace hardmoe
