// Files that fail where a test says, or lose power: what was not synced is gone then. Below one
// folder, on top of the system's own files.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_system.h"

namespace hardmoe {

/// What is left after power is lost: of names and contents only what was synced; or all names, but
/// of contents what was synced, as where a rename overtakes what was written; or, as after a kill,
/// everything.
enum class Left { synced_only, all_names, everything };

/// The system's files, but that nothing waits for the disk.
class QuickFiles : public FileSystem {
 public:
  int open(const std::filesystem::path& path, int flags, mode_t mode) override {
    return system_files().open(path, flags, mode);
  }
  int close(int descriptor) override { return system_files().close(descriptor); }
  ssize_t read(int descriptor, void* bytes, size_t count) override {
    return system_files().read(descriptor, bytes, count);
  }
  ssize_t read_at(int descriptor, void* bytes, size_t count, int64_t offset) override {
    return system_files().read_at(descriptor, bytes, count, offset);
  }
  ssize_t write_at(int descriptor, const void* bytes, size_t count, int64_t offset) override {
    return system_files().write_at(descriptor, bytes, count, offset);
  }
  int truncate(int descriptor, int64_t size) override {
    return system_files().truncate(descriptor, size);
  }
  int sync(int) override { return 0; }
  int lock(int descriptor, LockKind kind) override { return system_files().lock(descriptor, kind); }
  void* map(int descriptor, size_t count, int64_t offset, Pages pages) override {
    return system_files().map(descriptor, count, offset, pages);
  }
  void prefetch(int descriptor, int64_t offset, size_t count) override {
    system_files().prefetch(descriptor, offset, count);
  }
  int status(int descriptor, struct stat& found) override {
    return system_files().status(descriptor, found);
  }
  int status(const std::filesystem::path& path, Links links, struct stat& found) override {
    return system_files().status(path, links, found);
  }
  int may_write(const std::filesystem::path& folder) override {
    return system_files().may_write(folder);
  }
  int list(const std::filesystem::path& folder, const TakeName& take) override {
    return system_files().list(folder, take);
  }
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return system_files().rename(from, to);
  }
  int remove(const std::filesystem::path& path) override { return system_files().remove(path); }
  int make_folder(const std::filesystem::path& path, mode_t mode) override {
    return system_files().make_folder(path, mode);
  }
};

class FaultyFiles : public QuickFiles {
 public:
  /// What is below `root` now survives everything.
  explicit FaultyFiles(std::filesystem::path root) : root_(std::move(root)) { remember(root_); }
  ~FaultyFiles() override {
    for (const auto& [number, node] : nodes_) ::close(node.held);
  }
  FaultyFiles(const FaultyFiles&) = delete;
  FaultyFiles& operator=(const FaultyFiles&) = delete;

  /// The n-th call from now on fails, from 1.
  void fail_call(int n, int error) { fail_from(n, n, error, false); }
  /// Nothing is changed from the n-th change on: the process does not live to see it.
  void stop_at_change(int n) { fail_from(n, last_, EIO, true); }
  bool failed() const { return failed_; }
  /// Each call is interrupted by a signal once, and moves a few bytes only.
  void trouble_every_call() { troubled_ = true; }

  /// Makes `root` what it is when power comes back.
  void lose_power(Left left) const {
    if (left == Left::everything) return;
    std::map<std::string, std::string> tree;  // "name/" is a folder
    if (left == Left::synced_only) {
      collect_synced(number_of(root_), "", tree);
    } else {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
        const std::string name = entry.path().lexically_relative(root_).string();
        const auto node = nodes_.find(number_of(entry.path()));
        const bool folder = entry.is_directory();
        tree[folder ? name + "/" : name] = folder || node == nodes_.end() ? "" : node->second.bytes;
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(root_)) {
      std::filesystem::remove_all(entry.path());
    }
    for (const auto& [name, bytes] : tree) {
      const auto path = root_ / name;
      std::filesystem::create_directories(path.parent_path());
      if (!name.ends_with('/')) std::ofstream(path, std::ios::binary) << bytes;
    }
  }

  int open(const std::filesystem::path& path, int flags, mode_t mode) override {
    const std::lock_guard lock(mutex_);
    const bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    if (fails(changes) || is_interrupted()) return -1;
    const int descriptor = QuickFiles::open(path, flags, mode);
    if (descriptor >= 0 && changes) hold(path);
    return descriptor;
  }
  ssize_t read(int descriptor, void* bytes, size_t count) override {
    const std::lock_guard lock(mutex_);
    if (fails(false) || is_interrupted()) return -1;
    return QuickFiles::read(descriptor, bytes, few(count));
  }
  ssize_t read_at(int descriptor, void* bytes, size_t count, int64_t offset) override {
    const std::lock_guard lock(mutex_);
    if (fails(false) || is_interrupted()) return -1;
    return QuickFiles::read_at(descriptor, bytes, few(count), offset);
  }
  ssize_t write_at(int descriptor, const void* bytes, size_t count, int64_t offset) override {
    const std::lock_guard lock(mutex_);
    if (fails(true)) {  // a full disk takes some of it
      if (errno == ENOSPC) QuickFiles::write_at(descriptor, bytes, count / 2, offset);
      errno = error_;
      return -1;
    }
    if (is_interrupted()) return -1;
    return QuickFiles::write_at(descriptor, bytes, few(count), offset);
  }
  int truncate(int descriptor, int64_t size) override {
    const std::lock_guard lock(mutex_);
    return fails(true) || is_interrupted() ? -1 : QuickFiles::truncate(descriptor, size);
  }
  int sync(int descriptor) override {
    const std::lock_guard lock(mutex_);
    if (fails(true) || is_interrupted()) return -1;
    struct stat info = {};
    if (::fstat(descriptor, &info) != 0) return -1;
    const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
    Node& node = nodes_[hold(path)];
    if (S_ISDIR(info.st_mode)) {
      node.names = names_in(path);
    } else {
      node.bytes = content_of(path);
    }
    return 0;
  }
  int lock(int descriptor, LockKind kind) override {
    const std::lock_guard lock(mutex_);
    return fails(false) || is_interrupted() ? -1 : QuickFiles::lock(descriptor, kind);
  }
  void* map(int descriptor, size_t count, int64_t offset, Pages pages) override {
    const std::lock_guard lock(mutex_);
    return fails(false) ? nullptr : QuickFiles::map(descriptor, count, offset, pages);
  }
  int status(int descriptor, struct stat& found) override {
    const std::lock_guard lock(mutex_);
    return fails(false) ? -1 : QuickFiles::status(descriptor, found);
  }
  int status(const std::filesystem::path& path, Links links, struct stat& found) override {
    const std::lock_guard lock(mutex_);
    return fails(false) ? -1 : QuickFiles::status(path, links, found);
  }
  int may_write(const std::filesystem::path& folder) override {
    const std::lock_guard lock(mutex_);
    return fails(false) ? -1 : QuickFiles::may_write(folder);
  }
  int list(const std::filesystem::path& folder, const TakeName& take) override {
    const std::lock_guard lock(mutex_);
    return fails(false) ? -1 : QuickFiles::list(folder, take);
  }
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const std::lock_guard lock(mutex_);
    return fails(true) ? -1 : QuickFiles::rename(from, to);
  }
  int remove(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    return fails(true) ? -1 : QuickFiles::remove(path);
  }
  int make_folder(const std::filesystem::path& path, mode_t mode) override {
    const std::lock_guard lock(mutex_);
    if (fails(true)) return -1;
    const int result = QuickFiles::make_folder(path, mode);
    if (result == 0) hold(path);
    return result;
  }

 private:
  using Names = std::map<std::string, ino_t>;
  /// A file or folder, as it survives. It is held open, so that no other gets its number.
  struct Node {
    int held = -1;
    std::string bytes;
    Names names;
  };
  static constexpr int last_ = INT32_MAX;

  void fail_from(int first, int last, int error, bool changes_only) {
    calls_ = 0;
    first_ = first;
    until_ = last;
    error_ = error;
    changes_only_ = changes_only;
    failed_ = false;
  }
  bool fails(bool changes) {
    if (first_ == 0 || (changes_only_ && !changes)) return false;
    ++calls_;
    if (calls_ < first_ || calls_ > until_) return false;
    failed_ = true;
    errno = error_;
    return true;
  }
  bool is_interrupted() {
    interrupted_ = troubled_ && !interrupted_;
    if (interrupted_) errno = EINTR;
    return interrupted_;
  }
  size_t few(size_t count) const { return troubled_ && count > 3 ? 3 : count; }

  static ino_t number_of(const std::filesystem::path& path) {
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  }
  static std::string content_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  ino_t hold(const std::filesystem::path& path) {
    const ino_t number = number_of(path);
    Node& node = nodes_[number];
    if (node.held < 0) node.held = ::open(path.c_str(), O_PATH | O_CLOEXEC);
    return number;
  }
  Names names_in(const std::filesystem::path& folder) {
    Names names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      names[entry.path().filename().string()] = hold(entry.path());
    }
    return names;
  }
  void remember(const std::filesystem::path& path) {
    const ino_t number = hold(path);
    if (!std::filesystem::is_directory(path)) {
      nodes_[number].bytes = content_of(path);
      return;
    }
    nodes_[number].names = names_in(path);
    for (const auto& entry : std::filesystem::directory_iterator(path)) remember(entry.path());
  }
  void collect_synced(ino_t folder, const std::string& begin,
                      std::map<std::string, std::string>& tree) const {
    for (const auto& [name, number] : nodes_.at(folder).names) {
      const Node& node = nodes_.at(number);
      struct stat info = {};
      ::fstat(node.held, &info);
      const bool is_folder = S_ISDIR(info.st_mode);
      tree[begin + name + (is_folder ? "/" : "")] = node.bytes;
      if (is_folder) collect_synced(number, begin + name + "/", tree);
    }
  }

  std::filesystem::path root_;
  std::recursive_mutex mutex_;  // a folder is visited while it is listed
  std::map<ino_t, Node> nodes_;
  int calls_ = 0, first_ = 0, until_ = 0, error_ = 0;
  bool changes_only_ = false, failed_ = false, troubled_ = false, interrupted_ = false;
};

/// How a run ended: what it complained of, "" where it did not.
inline std::string complaint_of(FaultyFiles& files, const std::function<void()>& run) {
  const ScopedFileSystem scoped(files);
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline void quickly(const std::function<void()>& run) {
  QuickFiles files;
  const ScopedFileSystem scoped(files);
  run();
}

/// Runs `run` in `root` as `prepare` leaves it, again and again: each time another call fails,
/// until none is left to fail. check(complaint) looks at what there is then. Returns how many there
/// were.
inline int fail_every_call(const std::filesystem::path& root, int error,
                           const std::function<void()>& prepare, const std::function<void()>& run,
                           const std::function<void(const std::string&)>& check, int step = 1) {
  for (int n = 1;; n += step) {
    for (const auto& entry : std::filesystem::directory_iterator(root)) {
      std::filesystem::remove_all(entry.path());
    }
    quickly(prepare);
    FaultyFiles files(root);
    files.fail_call(n, error);
    const std::string complaint = complaint_of(files, run);
    if (!files.failed()) return n - 1;
    SCOPED_TRACE(testing::Message() << "call " << n << " failed: " << complaint);
    quickly([&] { check(complaint); });
    if (testing::Test::HasFailure()) return n;
  }
}

/// The same where power is lost before each change, with what may be left then; check(finished).
/// The last time nothing stops the run, and power is lost after it.
inline int lose_power_everywhere(const std::filesystem::path& root,
                                 const std::function<void()>& prepare,
                                 const std::function<void()>& run,
                                 const std::function<void(bool finished)>& check, int step = 1) {
  for (int n = 1;; n += step) {
    bool finished = false;
    for (const Left left : {Left::synced_only, Left::all_names, Left::everything}) {
      for (const auto& entry : std::filesystem::directory_iterator(root)) {
        std::filesystem::remove_all(entry.path());
      }
      quickly(prepare);
      FaultyFiles files(root);
      files.stop_at_change(n);
      const std::string complaint = complaint_of(files, run);
      finished = !files.failed();
      files.lose_power(left);
      SCOPED_TRACE(testing::Message() << "power lost at change " << n << ", left "
                                      << static_cast<int>(left) << ": " << complaint);
      quickly([&] { check(finished); });
      if (testing::Test::HasFailure()) return n;
    }
    if (finished) return n - 1;
  }
}

}  // namespace hardmoe
