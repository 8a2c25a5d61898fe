#include "base/unfinished_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// For calls that may fail: then less is tidied up, no more.
FileSystem& files = system_files();

/// Returns the names of unfinished files in the folder, by what they were to become. Each folder is
/// listed once in a process: it may hold millions of files.
std::vector<std::string> abandoned_beside(const fs::path& file) {
  static std::mutex mutex;
  static std::map<fs::path, std::multimap<std::string, std::string>> folders;
  const std::lock_guard lock(mutex);
  const fs::path folder = file.parent_path();
  const bool added = !folders.contains(folder);
  auto& unfinished_files = folders[folder];
  if (added) {
    const auto take = [&](std::string_view name, unsigned char) {
      const std::string unfinished(name), finished = finished_name(unfinished);
      const bool ours = unfinished_name(finished) == unfinished;
      if (finished != unfinished && !ours) unfinished_files.emplace(finished, unfinished);
    };
    // A folder that cannot be listed can still be written into.
    static_cast<void>(files.list(folder.empty() ? fs::path(".") : folder, take));
  }
  std::vector<std::string> names;
  const auto [begin, end] = unfinished_files.equal_range(file.filename().string());
  for (auto entry = begin; entry != end; ++entry) names.push_back(entry->second);
  unfinished_files.erase(begin, end);
  return names;
}

/// Removes the file unless a process writes it.
void remove_if_abandoned(const fs::path& unfinished) {
  const int descriptor = files.open(unfinished, O_RDWR | O_NOFOLLOW, 0);
  if (descriptor < 0) return;
  if (files.lock(descriptor, LockKind::alone) == 0) static_cast<void>(files.remove(unfinished));
  static_cast<void>(files.close(descriptor));
}

}  // namespace

fs::path unfinished_name(const fs::path& file) {
  fs::path name = file;
  name += fmt::format(".{}.tmp", ::getpid());
  return name;
}

std::string finished_name(const std::string& name) {
  if (!name.ends_with(".tmp")) return name;
  const auto words = split(name, '.');
  if (words.size() < 3 || words.back() != "tmp") return name;
  const std::string& pid = words[words.size() - 2];
  const bool number = !pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos;
  return number ? name.substr(0, name.size() - pid.size() - 5) : name;
}

OpenFile open_unfinished(const fs::path& file) {
  for (const std::string& name : abandoned_beside(file)) {
    remove_if_abandoned(file.parent_path() / name);
  }
  for (;;) {
    const int descriptor = uninterrupted([&] {
      return file_system().open(unfinished_name(file), O_RDWR | O_CREAT | O_TRUNC, 0644);
    });
    if (descriptor < 0) fail_writing(file);
    OpenFile opened = OpenFile::of(descriptor, file);
    // Where a file system has no locks, nobody can take it for abandoned either.
    static_cast<void>(uninterrupted([&] { return files.lock(descriptor, LockKind::alone); }));
    struct stat found = {};
    const bool taken_for_abandoned =  // before it was locked
        files.status(descriptor, found) == 0 && found.st_nlink == 0;
    if (!taken_for_abandoned) return opened;
  }
}

}  // namespace hardmoe
