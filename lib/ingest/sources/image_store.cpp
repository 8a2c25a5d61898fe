#include "ingest/sources/image_store.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/folders.h"
#include "data/tar.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Extensions that a list may leave out.
constexpr std::array extensions = {"",      ".jpg",  ".png",  ".jpeg", ".webp", ".JPG",
                                   ".JPEG", ".PNG",  ".jfif", ".tif",  ".tiff", ".bmp",
                                   ".gif",  ".avif", ".jp2",  ".TIF"};

/// Returns whether a member describes an image in its sample, so that it need not be remembered.
bool is_text(const std::string& name) {
  const std::string lower = lower_ascii(name);
  return lower.ends_with(".json") || lower.ends_with(".txt") || lower.ends_with(".cls");
}

}  // namespace

ImageStore::ImageStore(const std::vector<fs::path>& roots) {
  for (const auto& root : roots) {
    const Contents contents = contents_of(root);
    for (const auto& tar : contents.tars) add_tar(tar);
    if (contents.is_folder) folders_.push_back(root);
  }
}

ImageStore::Contents ImageStore::contents_of(const fs::path& root) {
  if (!path_exists(root)) fail_usage("--images {}: no such file or folder", root.string());
  Contents contents;
  if (!is_folder(root)) {
    contents.tars = {root};
    return contents;
  }
  for (const FolderEntry& entry : list_folder(root)) {
    if (entry.path().extension() == ".tar") contents.tars.push_back(entry.path());
  }
  std::sort(contents.tars.begin(), contents.tars.end());
  contents.is_folder = true;
  return contents;
}

void ImageStore::add_tar(const fs::path& tar) {
  maps_.emplace_back(tar);
  TarIndex index = read_tar(maps_.back().bytes(), tar.string());
  const auto take = [&](std::string& name, int64_t offset, int64_t size) {
    // The content, not the name, decides what is an image.
    if (!is_text(name)) members_.emplace(std::move(name), Member{tars_.size(), offset, size});
  };
  for (TarEntry& file : index.files) take(file.name, file.offset, file.size);
  for (TarLink& link : index.links) {
    if (link.size >= 0) take(link.name, link.offset, link.size);
  }
  tars_.push_back(fs::absolute(tar).lexically_normal());
}

std::vector<std::string> ImageStore::names_in_folders() const {
  std::vector<std::string> names;
  for (const auto& folder : folders_) {
    for (const auto& image : images_in(folder)) names.push_back(image.string());
  }
  return names;
}

std::optional<ImageStore::Location> ImageStore::find(std::string name) const {
  while (name.starts_with("./")) name.erase(0, 2);  // members' names are read without it too
  for (const char* extension : extensions) {
    const auto found = members_.find(name + extension);
    if (found == members_.end()) continue;
    const Member& member = found->second;
    return Location{{},
                    member.tar,
                    member.offset,
                    maps_[member.tar].bytes().subspan(static_cast<size_t>(member.offset),
                                                      static_cast<size_t>(member.size))};
  }
  for (const auto& folder : folders_) {
    for (const char* extension : extensions) {
      fs::path file = folder / (name + extension);
      if (path_kind(file) == PathKind::file) return Location{std::move(file), 0, 0, {}};
    }
  }
  return {};
}

}  // namespace hardmoe
