// Where images and their tags come from before they are a dataset.
//
//   FILE.tar       a WebDataset: KEY.jpg, .jpeg, .png or .webp with KEY.json {"tags": […], "truth":
//   […]}
//                  or KEY.txt (tags as in split_tag_text) beside it; KEY ends at the name's first
//                  dot
//   FILE.jsonl     a line an image: {"image": path, "tags": […], "truth": […], "key": …}; paths are
//                  relative to the file's folder; "-" is standard input, relative to the current
//                  one
//   FOLDER         one with *.tar in it stands for these; else a folder a tag, nested folders being
//                  several tags: FOLDER/animal/bird/x.png has the tags animal and bird
// "tags" and "truth" are a list of strings, or one string as in split_tag_text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hardmoe {

/// Why an item does not become an image of the dataset.
enum class Rejection {
  none,
  unreadable_image,
  unreadable_tags,  ///< its metadata are damaged
  no_image,         ///< metadata without an image beside it
  repeated,         ///< a second file of the same name, or a second image of the same key
  no_tags,
  no_kept_tag,  ///< none of its tags is in the vocabulary
};
inline constexpr std::array<std::string_view, 7> rejection_names = {
    "", "unreadable image", "unreadable tags", "no image", "repeated", "no tags", "no kept tag"};
constexpr std::string_view name_of(Rejection rejection) {
  return rejection_names[static_cast<size_t>(rejection)];
}

struct SourceItem {
  std::string key;
  std::string file;  ///< the tar, image or list it is in, for messages and rejected.jsonl
  std::vector<std::string> tags;  ///< as given
  std::optional<std::vector<std::string>> truth;
  std::span<const std::byte> bytes;  ///< the encoded image, where it lies within a tar …
  int64_t offset = -1;               ///< … and where there
  std::filesystem::path path;        ///< else the image's own file
  Rejection rejection = Rejection::none;
  std::string detail;  ///< of the rejection
};

/// Items by number; item() may be called from several threads.
class Source {
 public:
  virtual ~Source() = default;
  virtual int64_t size() const = 0;
  /// Item 0 … size()-1. Faults of the item are told in it, not thrown.
  virtual SourceItem item(int64_t number) const = 0;
  /// The tar that images can be indexed in; empty for other sources.
  virtual std::filesystem::path tar() const { return {}; }
};

/// What was named on the command line, as single sources: folders of tars become their tars. Throws
/// Error(usage) for what does not exist or is of no known kind.
std::vector<std::filesystem::path> expand_sources(const std::vector<std::string>& names);

/// Identifies a source's present content without reading it: path, size, time of last change; for a
/// folder those of all its files; for standard input the hash of `standard_input`.
Json source_identity(const std::filesystem::path& source, const std::string& standard_input);

/// `standard_input`: what was read there, for the source "-". Throws Error for a damaged tar.
std::unique_ptr<Source> open_source(const std::filesystem::path& source,
                                    const std::string& standard_input);

/// Reads "tags", "truth" of a JSON object (or tags of plain text) into the item; tells its faults
/// there.
void read_metadata(std::string_view text, bool is_json, SourceItem& item);

/// The key as it may stand in keys.txt and as a member's name in a shard: valid UTF-8 without
/// control characters, relative, and no dot in its last part (where WebDataset's extensions begin).
std::string safe_key(std::string_view key);

}  // namespace hardmoe
