#include "base/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/signals.h"
#include "base/write_all.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

std::string reason() { return std::strerror(errno); }

/// Closes on scope exit.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

constexpr size_t buffer_bytes = size_t{1} << 20;

}  // namespace

void fail_writing(const fs::path& file) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  fail("writing {}: {}{}", file.string(), reason(),
       full ? "; free some space and run the same command again" : "");
}

void write_all(int descriptor, const char* bytes, size_t count, size_t offset,
               const fs::path& file) {
  while (count > 0) {
    const ssize_t written = ::pwrite(descriptor, bytes, count, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_writing(file);
    bytes += written;
    offset += static_cast<size_t>(written);
    count -= static_cast<size_t>(written);
  }
}

std::string read_file(const fs::path& file) {
  const Descriptor input{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (input.fd < 0) fail("reading {}: {}", file.string(), reason());
  struct stat info = {};
  if (::fstat(input.fd, &info) != 0) fail("reading {}: {}", file.string(), reason());
  if (S_ISDIR(info.st_mode)) fail("reading {}: it is a folder, expected a file", file.string());
  std::string bytes;
  bytes.reserve(static_cast<size_t>(info.st_size));
  char chunk[1 << 16];
  while (true) {
    const ssize_t count = ::read(input.fd, chunk, sizeof chunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("reading {}: {}", file.string(), reason());
    if (count == 0) return bytes;
    bytes.append(chunk, static_cast<size_t>(count));
  }
}

void write_file_atomic(const fs::path& file, std::string_view bytes) {
  AtomicFile output(file);
  output.write(bytes);
  output.commit();
}

AtomicFile::AtomicFile(fs::path file) : file_(std::move(file)) {
  temporary_ = file_;
  temporary_ += fmt::format(".{}.tmp", ::getpid());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("writing {}: {}", file_.string(), reason());
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, size_t count) {
  if (count >= buffer_bytes) {  // past the buffer, which would grow by as much
    flush();
    write_all(descriptor_, static_cast<const char*>(bytes), count, size_, file_);
    size_ += count;
    return;
  }
  size_ += count;
  buffer_.append(static_cast<const char*>(bytes), count);
  if (buffer_.size() >= buffer_bytes) flush();
}

void AtomicFile::flush() {
  write_all(descriptor_, buffer_.data(), buffer_.size(), size_ - buffer_.size(), file_);
  buffer_.clear();
}

void AtomicFile::write_at(size_t offset, const void* bytes, size_t count) {
  flush();
  write_all(descriptor_, static_cast<const char*>(bytes), count, offset, file_);
}

void AtomicFile::commit() {
  flush();
  if (::fsync(descriptor_) != 0) fail("writing {}: {}", file_.string(), reason());
  ::close(std::exchange(descriptor_, -1));
  if (::rename(temporary_.c_str(), file_.c_str()) != 0) {
    const std::string why = reason();
    ::unlink(temporary_.c_str());
    fail("writing {}: {}", file_.string(), why);
  }
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

/// Opens a file of a known size. What is none is not opened: that may wait for ever, or set a
/// device going.
int open_file(const fs::path& file, size_t& size) {
  const auto check = [&](bool known, const struct stat& info) {
    if (!known) fail("reading {}: {}", file.string(), reason());
    if (const char* what = other_than_file(info.st_mode)) {
      fail("reading {}: it is a {}, expected a file", file.string(), what);
    }
  };
  struct stat info = {};
  check(::stat(file.c_str(), &info) == 0, info);
  Descriptor input{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  check(input.fd >= 0 && ::fstat(input.fd, &info) == 0, info);
  size = static_cast<size_t>(info.st_size);
  return std::exchange(input.fd, -1);
}

}  // namespace

InputFile::InputFile(const fs::path& file) : file_(file), descriptor_(open_file(file, size_)) {}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read_at(size_t offset, void* bytes, size_t count) const {
  auto* target = static_cast<char*>(bytes);
  while (count > 0) {
    const ssize_t found = ::pread(descriptor_, target, count, static_cast<off_t>(offset));
    if (found < 0 && errno == EINTR) continue;
    if (found < 0) fail("reading {}: {}", file_.string(), reason());
    if (found == 0) fail("reading {}: it ends at byte {}; was it changed?", file_.string(), offset);
    target += found;
    offset += static_cast<size_t>(found);
    count -= static_cast<size_t>(found);
  }
}

void InputFile::expect(size_t offset, size_t count) const {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(count),
                  POSIX_FADV_WILLNEED);
}

MappedPiece::MappedPiece(const InputFile& file, size_t offset, size_t count) {
  struct stat info = {};
  if (::fstat(file.descriptor_, &info) != 0 || offset + count > static_cast<size_t>(info.st_size)) {
    fail("reading {}: it ends before byte {}; was it changed?", file.file_.string(),
         offset + count);
  }
  const size_t before = offset % static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* mapped = ::mmap(nullptr, before + count, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
                        file.descriptor_, static_cast<off_t>(offset - before));
  if (mapped == MAP_FAILED) fail("mapping {}: {}", file.file_.string(), reason());
  pages_ = static_cast<std::byte*>(mapped);
  size_ = before + count;
  data_ = pages_ + before;
}

MappedPiece::~MappedPiece() {
  if (pages_ != nullptr) ::munmap(pages_, size_);
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
  const Descriptor input{open_file(file, size_)};
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, input.fd, 0);
  if (mapped == MAP_FAILED) fail("mapping {}: {}", file.string(), reason());
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

FileLock::FileLock(const fs::path& file, std::string_view what) {
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("locking {}: {}", file.string(), reason());
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const bool held = errno == EWOULDBLOCK;
    const std::string why = reason();
    ::close(std::exchange(descriptor_, -1));
    if (!held) fail("locking {}: {}", file.string(), why);
    fail("{} is being written by another process (lock {}); wait for it or stop it", what,
         file.string());
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

void make_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_directory(folder, ignored)) {
    fail_usage("{}: is a file, expected a folder to write into", folder.string());
  }
  if (error) fail("creating folder {}: {}", folder.string(), error.message());
  if (::access(folder.c_str(), W_OK) != 0) fail("writing into {}: {}", folder.string(), reason());
}

void require_file(const fs::path& file, std::string_view hint, ExitStatus status) {
  if (!fs::exists(file))
    throw Error(fmt::format("{}: no such file; {}", file.string(), hint), status);
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
