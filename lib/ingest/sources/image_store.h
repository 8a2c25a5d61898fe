// The images that lists name, in folders and tars given beside the list.
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

/// Finds images by name.
class ImageStore {
 public:
  struct Location {
    std::filesystem::path path;        ///< a file; empty: a member of a tar
    size_t tar = 0;                    ///< index in tars()
    int64_t offset = 0;                ///< in the tar
    std::span<const std::byte> bytes;  ///< the member's bytes
  };

  /// `roots`: tars, folders of tars, or folders of image files. Throws Error for damaged tars,
  /// Error(usage) for what does not exist.
  explicit ImageStore(const std::vector<std::filesystem::path>& roots);

  /// What a given tar or folder holds.
  struct Contents {
    std::vector<std::filesystem::path> tars;
    bool is_folder = false;  ///< a folder of image files
  };
  static Contents contents_of(const std::filesystem::path& root);

  bool empty() const { return folders_.empty() && tars_.empty(); }
  const std::vector<std::filesystem::path>& tars() const { return tars_; }

  /// Returns the location of an image, by its path within a folder or its member's name in a tar,
  /// with or without extension. If several have it, the one given first counts.
  std::optional<Location> find(std::string name) const;

  /// Calls take(name for find(), stem of the file's name) for every image.
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
