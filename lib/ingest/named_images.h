// Images without tags that a person names one after another: files, folders, tars, and what comes on
// standard input: a list of such names, or an image. Not for datasets: see ingest/sources.
#pragma once

#include <deque>
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "data/tar.h"

namespace hardmoe {

/// An image's bytes and name, or why there are none.
struct NamedImage {
  std::string name;                   ///< for people: a path, "SHARD.tar: MEMBER", "-"
  std::filesystem::path path;         ///< the file; empty if it is in a tar or on standard input
  std::span<const std::byte> bytes;   ///< encoded
  std::string error;                  ///< why it cannot be read; else empty
  std::shared_ptr<const void> keeps;  ///< holds the bytes
};

/// Reads what names mean, in order. Nothing is read before it is asked for.
class NamedImages {
 public:
  /// `names`: paths, or "-" for `standard_input`, which must outlive this.
  NamedImages(std::vector<std::string> names, std::istream& standard_input);

  /// Returns the next image; nothing behind the last. What is missing, no image, or a damaged tar is
  /// an image with an error. A folder's images are all files below it that moe-ingest would take for
  /// images, by name; a tar's are its members that are images by name or content.
  std::optional<NamedImage> next();

 private:
  void expand(const std::string& name);
  void expand_tar(const std::string& name, std::span<const std::byte> bytes,
                  const std::shared_ptr<const void>& keeps);
  void expand_standard_input();
  std::string rest_of_input();

  std::deque<std::string> names_;
  std::istream& input_;
  std::string begun_;     ///< the first bytes of standard input, read to see what it is
  bool listing_ = false;  ///< standard input is a list, which is not at its end
  std::deque<std::filesystem::path> files_;  ///< named by a folder or a list, to be read next
  std::deque<NamedImage> images_;            ///< of the tar that is being read
};

}  // namespace hardmoe
