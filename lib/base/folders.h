// Looks up, lists, makes, renames and removes files and folders. Unless a comment says otherwise,
// changes of names are on the disk when the call returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hardmoe {

/// What a path leads to; links are followed.
enum class PathKind {
  nothing,  ///< nothing, or a link to nothing or to itself
  file,
  folder,
  other,    ///< a device, pipe or socket
  unknown,  ///< looking there is not permitted
};
/// Returns what a path leads to. Does not throw.
PathKind path_kind(const std::filesystem::path& path);
/// Returns whether the path leads to something. Throws Error if looking there is not permitted.
bool path_exists(const std::filesystem::path& path);
/// Returns whether the path leads to a file. Throws as path_exists() does.
bool is_file(const std::filesystem::path& path);
/// Returns whether the path leads to a folder. Throws as path_exists() does.
bool is_folder(const std::filesystem::path& path);
/// Device and inode: the same for all names of one file or folder.
using PathIdentity = std::pair<uint64_t, uint64_t>;
/// Returns the identity of a file or folder; nothing if the path leads to nothing, or if looking
/// there is not permitted.
std::optional<PathIdentity> path_identity(const std::filesystem::path& path);
/// A file's size and time of last change, by which changes are noticed.
struct FileState {
  int64_t bytes = 0, seconds = 0, nanoseconds = 0;
};
/// Returns the state of a file. Throws Error if there is no such file.
FileState file_state(const std::filesystem::path& file);

/// Returns the size of a file in bytes. Throws Error if there is no such file.
size_t file_size_of(const std::filesystem::path& file);

/// Throws Error("X: no such file; …") with `hint` unless the file exists. `status`: usage if the
/// user named a wrong path, failed if the path is right but the file is gone.
void require_file(const std::filesystem::path& file, std::string_view hint,
                  ExitStatus status = ExitStatus::failed);

/// An entry of a folder.
class FolderEntry {
 public:
  FolderEntry(std::filesystem::path path, unsigned char type)
      : path_(std::move(path)), type_(type) {}
  /// Returns the folder's path, as it was given, with the name.
  const std::filesystem::path& path() const { return path_; }
  std::string name() const { return path_.filename().string(); }
  /// Returns what path_kind() would, without asking the system again if the folder records it.
  PathKind kind() const;
  /// Returns whether this is a folder and not a link to one.
  bool is_folder_itself() const;

 private:
  std::filesystem::path path_;
  unsigned char type_;
};

/// Returns the folder's entries, unordered. Throws Error naming the folder and the system's reason.
std::vector<FolderEntry> list_folder(const std::filesystem::path& folder);
/// Passes the folder's entries to `take` one by one, for folders of millions. Throws as
/// list_folder() does.
void visit_folder(const std::filesystem::path& folder,
                  const std::function<void(const FolderEntry&)>& take);
/// Returns all entries below a folder, each folder before its entries. Does not follow links.
std::vector<FolderEntry> list_tree(const std::filesystem::path& folder);

/// Creates the folder and its parents where they are missing. Throws Error: "creating folder X: …".
void make_folders(const std::filesystem::path& folder);
/// Calls make_folders() and checks that the folder can be written. Throws Error naming it if not;
/// Error(usage) if it is a file.
void make_writable_folder(const std::filesystem::path& folder);
/// Returns an unused name: `begin`, the process and some digits.
std::filesystem::path temporary_name(const std::filesystem::path& begin);
/// Makes a folder with a temporary_name(), which only this user can read, and returns its path. Its
/// name is not put on the disk. Throws Error: "writing X: …".
std::filesystem::path make_temporary_folder(const std::filesystem::path& begin);

/// Renames a file, replacing `to` if it exists. Throws Error: "writing TO: …".
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);
/// Puts the folder's names on the disk.
void sync_folder(const std::filesystem::path& folder);
/// Calls sync_folder() for the folder that holds `path`; an error names `path`.
void sync_folder_of(const std::filesystem::path& path);

/// Whether a change of names is on the disk after the call.
enum class After { synced, not_synced };
/// Removes a file, link or empty folder if it exists. Throws Error: "removing X: …".
void remove_file(const std::filesystem::path& path, After after = After::synced);
/// Removes a file, or a folder and everything in it. Throws as remove_file() does.
void remove_tree(const std::filesystem::path& path, After after = After::synced);
/// Removes a file or folder as remove_tree() does, not synced, and stops without an error at what
/// cannot be removed. For destructors.
void try_remove(const std::filesystem::path& path) noexcept;

}  // namespace hardmoe
