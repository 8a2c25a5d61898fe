#include "base/folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/file_system.h"
#include "base/open_file.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

fs::path folder_of(const fs::path& path) {
  // "a/b/" names b, and so does its parent_path().
  const fs::path parent =
      path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

PathKind kind_of_mode(mode_t mode) {
  return S_ISREG(mode) ? PathKind::file : S_ISDIR(mode) ? PathKind::folder : PathKind::other;
}

PathKind known_kind(const fs::path& path) {
  const PathKind kind = path_kind(path);
  if (kind == PathKind::unknown) fail_reading(path);
  return kind;
}

[[noreturn]] void fail_removing(const fs::path& path) {
  fail("removing {}: {}", path.string(), std::strerror(errno));
}

void remove_here(const fs::path& path) {
  if (file_system().remove(path) != 0 && errno != ENOENT) fail_removing(path);
}

/// Returns whether it was there.
bool remove_below(const fs::path& path) {
  struct stat found = {};
  if (file_system().status(path, Links::themselves, found) != 0) {
    if (errno == ENOENT) return false;
    fail_removing(path);
  }
  if (S_ISDIR(found.st_mode)) {
    for (const FolderEntry& entry : list_folder(path)) {
      if (entry.is_folder_itself()) {
        remove_below(entry.path());
      } else {
        remove_here(entry.path());
      }
    }
  }
  remove_here(path);
  return true;
}

void collect(const fs::path& folder, std::vector<FolderEntry>& found) {
  for (FolderEntry& entry : list_folder(folder)) {
    const bool below = entry.is_folder_itself();
    const fs::path path = entry.path();
    found.push_back(std::move(entry));
    if (below) collect(path, found);
  }
}

}  // namespace

PathKind path_kind(const fs::path& path) {
  struct stat found = {};
  if (file_system().status(path, Links::followed, found) == 0) return kind_of_mode(found.st_mode);
  const bool nothing =
      errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG;
  return nothing ? PathKind::nothing : PathKind::unknown;
}

bool path_exists(const fs::path& path) { return known_kind(path) != PathKind::nothing; }
bool is_file(const fs::path& path) { return known_kind(path) == PathKind::file; }
bool is_folder(const fs::path& path) { return known_kind(path) == PathKind::folder; }

std::optional<PathIdentity> path_identity(const fs::path& path) {
  struct stat found = {};
  if (file_system().status(path, Links::followed, found) != 0) return std::nullopt;
  return PathIdentity{found.st_dev, found.st_ino};
}

FileState file_state(const fs::path& file) {
  struct stat found = {};
  if (file_system().status(file, Links::followed, found) != 0) fail_reading(file);
  return {found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

size_t file_size_of(const fs::path& file) { return static_cast<size_t>(file_state(file).bytes); }

void require_file(const fs::path& file, std::string_view hint, ExitStatus status) {
  if (!path_exists(file)) {
    throw Error(fmt::format("{}: no such file; {}", file.string(), hint), status);
  }
}

PathKind FolderEntry::kind() const {
  if (type_ == DT_REG) return PathKind::file;
  if (type_ == DT_DIR) return PathKind::folder;
  return path_kind(path_);
}

bool FolderEntry::is_folder_itself() const {
  if (type_ != DT_UNKNOWN) return type_ == DT_DIR;
  struct stat found = {};
  return file_system().status(path_, Links::themselves, found) == 0 && S_ISDIR(found.st_mode);
}

void visit_folder(const fs::path& folder, const std::function<void(const FolderEntry&)>& take) {
  const auto take_name = [&](std::string_view name, unsigned char type) {
    take(FolderEntry(folder / name, type));
  };
  if (file_system().list(folder, take_name) != 0) fail_reading(folder);
}

std::vector<FolderEntry> list_folder(const fs::path& folder) {
  std::vector<FolderEntry> entries;
  visit_folder(folder, [&](const FolderEntry& entry) { entries.push_back(entry); });
  return entries;
}

std::vector<FolderEntry> list_tree(const fs::path& folder) {
  std::vector<FolderEntry> found;
  collect(folder, found);
  return found;
}

void make_folders(const fs::path& folder) {
  std::vector<fs::path> missing;
  for (fs::path path = folder; !path.empty(); path = path.parent_path()) {
    const PathKind kind = path_kind(path);
    if (kind == PathKind::folder) break;
    if (kind != PathKind::nothing) {
      errno = kind == PathKind::unknown ? errno : ENOTDIR;
      fail("creating folder {}: {}", folder.string(), std::strerror(errno));
    }
    if (path.has_filename()) missing.push_back(path);
    if (path == path.parent_path()) break;
  }
  for (; !missing.empty(); missing.pop_back()) {
    // Another process may make it at the same time.
    if (file_system().make_folder(missing.back(), 0777) != 0 && errno != EEXIST) {
      fail("creating folder {}: {}", folder.string(), std::strerror(errno));
    }
    sync_folder_of(missing.back());
  }
}

void make_writable_folder(const fs::path& folder) {
  const PathKind kind = path_kind(folder);
  if (kind == PathKind::file || kind == PathKind::other) {
    fail_usage("{}: is a file, expected a folder to write into", folder.string());
  }
  make_folders(folder);
  if (file_system().may_write(folder) != 0) {
    fail("writing into {}: {}", folder.string(), std::strerror(errno));
  }
}

fs::path make_temporary_folder(const fs::path& begin) {
  constexpr int tries = 100;
  for (int i = 0;; ++i) {
    fs::path folder = temporary_name(begin);
    if (file_system().make_folder(folder, 0700) == 0) return folder;
    if (errno != EEXIST || i == tries) fail_writing(folder);
  }
}

fs::path temporary_name(const fs::path& begin) {
  static std::atomic<unsigned> count{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  fs::path name = begin;
  name += fmt::format(".{}-{:x}-{}", ::getpid(), now & 0xFFFFFFFF, ++count);
  return name;
}

void rename_file(const fs::path& from, const fs::path& to) {
  if (file_system().rename(from, to) != 0) fail_writing(to);
  sync_folder_of(to);
  if (folder_of(from) != folder_of(to)) sync_folder_of(from);
}

namespace {

/// written: what an error names.
void sync_names(const fs::path& folder, const fs::path& written) {
  const int descriptor =
      uninterrupted([&] { return file_system().open(folder, O_RDONLY | O_DIRECTORY, 0); });
  // A folder that may be written but not listed cannot be opened; its names come to the disk in
  // time.
  if (descriptor < 0 && errno == EACCES) return;
  if (descriptor < 0) fail_writing(written);
  const int result = uninterrupted([&] { return file_system().sync(descriptor); });
  const int why = errno;
  file_system().close(descriptor);
  // Some network file systems know no such thing, and need none.
  if (result == 0 || why == EINVAL || why == ENOTSUP) return;
  errno = why;
  fail_writing(written);
}

}  // namespace

void sync_folder(const fs::path& folder) { sync_names(folder, folder); }

void sync_folder_of(const fs::path& path) { sync_names(folder_of(path), path); }

void remove_file(const fs::path& path, After after) {
  if (file_system().remove(path) != 0) {
    if (errno == ENOENT) return;
    fail_removing(path);
  }
  if (after == After::synced) sync_folder_of(path);
}

void remove_tree(const fs::path& path, After after) {
  if (remove_below(path) && after == After::synced) sync_folder_of(path);
}

void try_remove(const fs::path& path) noexcept {
  try {
    remove_below(path);
  } catch (const std::exception&) {
    // The caller has a better error to tell, or none.
  }
}

}  // namespace hardmoe
