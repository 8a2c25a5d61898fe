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

/// What a list may leave out.
constexpr std::array extensions = {"",      ".jpg",  ".png",  ".jpeg", ".webp", ".JPG",
                                   ".JPEG", ".PNG",  ".jfif", ".tif",  ".tiff", ".bmp",
                                   ".gif",  ".avif", ".jp2",  ".TIF"};

/// What stands beside an image in a sample and needs no place in memory.
bool is_text(const std::string& name) {
  const std::string lower = lower_ascii(name);
  return lower.ends_with(".json") || lower.ends_with(".txt") || lower.ends_with(".cls");
}

}  // namespace

ImageStore::ImageStore(const std::vector<fs::path>& places) {
  for (const auto& place : places) {
    const Contents contents = contents_of(place);
    for (const auto& tar : contents.tars) add_tar(tar);
    if (contents.is_folder) folders_.push_back(place);
  }
}

ImageStore::Contents ImageStore::contents_of(const fs::path& place) {
  if (!path_exists(place)) fail_usage("--images {}: no such file or folder", place.string());
  Contents contents;
  if (!is_folder(place)) {
    contents.tars = {place};
    return contents;
  }
  for (const FolderEntry& entry : list_folder(place)) {
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
    // Of any name: the content decides what an image is.
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

std::optional<ImageStore::Place> ImageStore::find(std::string name) const {
  while (name.starts_with("./")) name.erase(0, 2);  // as names of members are read
  for (const char* extension : extensions) {
    const auto found = members_.find(name + extension);
    if (found == members_.end()) continue;
    const Member& member = found->second;
    return Place{{},
                 member.tar,
                 member.offset,
                 maps_[member.tar].bytes().subspan(static_cast<size_t>(member.offset),
                                                   static_cast<size_t>(member.size))};
  }
  for (const auto& folder : folders_) {
    for (const char* extension : extensions) {
      fs::path file = folder / (name + extension);
      if (path_kind(file) == PathKind::file) return Place{std::move(file), 0, 0, {}};
    }
  }
  return {};
}

}  // namespace hardmoe
