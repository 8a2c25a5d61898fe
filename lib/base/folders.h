// Folders and names of files: what is there, made, renamed and removed. What changes names is on
// the disk for good when the call returns, but where it says otherwise.
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

/// What is at a path, links followed.
enum class PathKind {
  nothing,  ///< also a link to nothing, or to itself
  file,
  folder,
  other,    ///< a device, pipe or socket
  unknown,  ///< it may not be looked at
};
/// Never throws.
PathKind path_kind(const std::filesystem::path& path);
/// These throw Error where it may not be looked at.
bool path_exists(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);
/// Device and number: the same for all names of one file or folder. None where it is not there.
using PathIdentity = std::pair<uint64_t, uint64_t>;
std::optional<PathIdentity> path_identity(const std::filesystem::path& path);
/// Size and time of the last change, by which a file is known to be as it was.
struct FileState {
  int64_t bytes = 0, seconds = 0, nanoseconds = 0;
};
/// Throws Error where there is none.
FileState file_state(const std::filesystem::path& file);

/// In bytes. Throws Error where there is none.
size_t file_size_of(const std::filesystem::path& file);

/// Throws Error("X: no such file; …") with `hint` unless the file exists. status: usage where the
/// user named a wrong place, failed where something is gone from the right one.
void require_file(const std::filesystem::path& file, std::string_view hint,
                  ExitStatus status = ExitStatus::failed);

/// Of one name in a folder.
class FolderEntry {
 public:
  FolderEntry(std::filesystem::path path, unsigned char type)
      : path_(std::move(path)), type_(type) {}
  /// The folder's path, as it was given, and the name.
  const std::filesystem::path& path() const { return path_; }
  std::string name() const { return path_.filename().string(); }
  /// As path_kind(), which it asks only where the folder does not say.
  PathKind kind() const;
  /// Whether the name itself is a folder, not a link to one.
  bool is_folder_itself() const;

 private:
  std::filesystem::path path_;
  unsigned char type_;
};

/// What is in the folder, in no order. Throws Error naming it and the system's reason.
std::vector<FolderEntry> list_folder(const std::filesystem::path& folder);
/// The same one by one, for folders of millions.
void visit_folder(const std::filesystem::path& folder,
                  const std::function<void(const FolderEntry&)>& take);
/// All below it, folders before what is in them; links are not followed.
std::vector<FolderEntry> list_tree(const std::filesystem::path& folder);

/// Creates the folder (and parents). Throws Error.
void make_folders(const std::filesystem::path& folder);
/// The same, and checks that it can be written.
void make_writable_folder(const std::filesystem::path& folder);
/// A name that nothing has yet: `begin`, the process and some digits.
std::filesystem::path temporary_name(const std::filesystem::path& begin);
/// A new folder of which only this user sees the inside, by a temporary_name().
std::filesystem::path make_temporary_folder(const std::filesystem::path& begin);

/// `from` becomes `to`, in place of what was there. Throws Error: "writing TO: …".
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);
/// Puts which names are in the folder on the disk for good.
void sync_folder(const std::filesystem::path& folder);
/// sync_folder of the one `path` is in; an error names `path`.
void sync_folder_of(const std::filesystem::path& path);

enum class After { synced, not_synced };
/// A file, link or empty folder, if it is there. Throws Error: "removing X: …".
void remove_file(const std::filesystem::path& path, After after = After::synced);
/// With all that is in it.
void remove_tree(const std::filesystem::path& path, After after = After::synced);
/// The same for destructors and what is of no use in any case: what fails is left.
void try_remove(const std::filesystem::path& path) noexcept;

}  // namespace hardmoe
