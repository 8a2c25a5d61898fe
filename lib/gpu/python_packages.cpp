#include "gpu/python_packages.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns the folders in a folder, in their names' order; none where it cannot be listed.
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  try {
    if (path_kind(folder) != PathKind::folder) return found;
    for (const FolderEntry& entry : list_folder(folder)) {
      if (entry.kind() == PathKind::folder) found.push_back(entry.path());
    }
  } catch (const Error&) {
    return {};
  }
  std::ranges::sort(found);
  return found;
}

/// Returns the prefixes of a python3: the one it lies in, and that of what it is a link to. pyenv's
/// stands for any of its versions.
std::vector<fs::path> prefixes_of(const fs::path& python) {
  const fs::path own = python.parent_path().parent_path();
  if (python.parent_path().filename() == "shims") return folders_in(own / "versions");
  std::error_code failed;
  const fs::path behind = fs::weakly_canonical(python, failed);
  if (failed) return {own};
  return {own, behind.parent_path().parent_path()};
}

void add_once(const fs::path& folder, std::vector<fs::path>& folders) {
  if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(folder);
}

}  // namespace

PythonPlaces python_places() {
  PythonPlaces places;
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const char* prefix = std::getenv(variable);
    if (prefix != nullptr && *prefix != '\0') places.prefixes.emplace_back(prefix);
  }
  if (const char* home = std::getenv("HOME")) places.prefixes.push_back(fs::path(home) / ".local");
  if (const char* path = std::getenv("PATH")) {
    for (const std::string& folder : split(path, ':')) {
      if (!folder.empty()) places.executables.emplace_back(folder);
    }
  }
  return places;
}

std::vector<fs::path> package_folders(const PythonPlaces& places) {
  std::vector<fs::path> prefixes = places.prefixes;
  for (const fs::path& folder : places.executables) {
    const fs::path python = folder / "python3";
    if (path_kind(python) != PathKind::file) continue;
    for (const fs::path& prefix : prefixes_of(python)) add_once(prefix, prefixes);
  }
  std::vector<fs::path> packages;
  for (const fs::path& prefix : prefixes) {
    for (const fs::path& library : folders_in(prefix / "lib")) {
      if (!library.filename().string().starts_with("python3")) continue;
      for (const char* name : {"site-packages", "dist-packages"}) {
        if (path_kind(library / name) == PathKind::folder) add_once(library / name, packages);
      }
    }
  }
  return packages;
}

std::optional<fs::path> packaged_library(const std::vector<fs::path>& folders,
                                         const std::string& file) {
  for (const fs::path& folder : folders) {
    for (const fs::path& package : folders_in(folder / "nvidia")) {
      const fs::path library = package / "lib" / file;
      if (path_kind(library) == PathKind::file) return library;
    }
  }
  return std::nullopt;
}

}  // namespace hardmoe
