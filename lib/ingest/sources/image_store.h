// Images that a list names, in folders and tars given beside it.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/files.h"

namespace hardmoe {

class ImageStore {
 public:
  struct Place {
    std::filesystem::path path;        ///< of a file; empty: a member of a tar
    size_t tar = 0;                    ///< of tars()
    int64_t offset = 0;                ///< in the tar
    std::span<const std::byte> bytes;  ///< of the member
  };

  /// `places`: tars, folders of tars, folders of image files. Throws Error for damaged tars,
  /// Error(usage) for what does not exist.
  explicit ImageStore(const std::vector<std::filesystem::path>& places);

  /// What one of them stands for.
  struct Contents {
    std::vector<std::filesystem::path> tars;
    bool is_folder = false;  ///< of image files
  };
  static Contents contents_of(const std::filesystem::path& place);

  bool empty() const { return folders_.empty() && tars_.empty(); }
  const std::vector<std::filesystem::path>& tars() const { return tars_; }

  /// By path within a folder or a member's name in a tar, with or without its extension; the first
  /// place that has it.
  std::optional<Place> find(std::string name) const;

  /// Calls take(name for find(), stem of the file's name) for every image there is.
  template <class Take>
  void for_each(const Take& take) const;

 private:
  struct Member {
    size_t tar;
    int64_t offset, size;
  };
  void add_tar(const std::filesystem::path& tar);
  std::vector<std::string> names_in_folders() const;
  std::vector<std::filesystem::path> folders_, tars_;
  std::vector<MappedFile> maps_;
  std::unordered_map<std::string, Member> members_;
};

template <class Take>
void ImageStore::for_each(const Take& take) const {
  const auto stem = [](const std::string& name) {
    const size_t slash = name.rfind('/');
    const std::string base = slash == std::string::npos ? name : name.substr(slash + 1);
    return base.substr(0, base.find('.'));
  };
  for (const auto& name : names_in_folders()) take(name, stem(name));
  for (const auto& [name, member] : members_) take(name, stem(name));
}

}  // namespace hardmoe
