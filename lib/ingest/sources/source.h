// Where images and their tags come from before they are a dataset. What each kind of source looks
// like is told in datasets/README.md; sources.cpp guesses it from the content.
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
#include "ingest/sources/report.h"

namespace hardmoe {

/// Why an item does not become an image of the dataset. The numbers are those in status.npy.
enum class Rejection : uint8_t {
  none,
  unreadable_image,
  unreadable_tags,  ///< its metadata are damaged
  no_image,         ///< metadata without an image beside it
  repeated,         ///< a second file of the same name, or a second image of the same key
  no_tags,
  no_kept_tag,  ///< none of its tags is in the vocabulary
  too_large,    ///< more pixels than asked for
  too_small,
  too_elongated,   ///< its sides are too unequal
  duplicate,       ///< the same bytes as an image taken before
  near_duplicate,  ///< looks like one taken before
  absent_label,    ///< says of an image what is not on it (Open Images' confidence 0)
  outside,         ///< a path or link that leaves the folder or archive it is confined to
  other_format,    ///< an image, of a format that is not read
};
inline constexpr std::array<std::string_view, 15> rejection_names = {
    "",          "unreadable image", "unreadable tags", "no image",  "repeated",
    "no tags",   "no kept tag",      "too large",       "too small", "too elongated",
    "duplicate", "near duplicate",   "absent label",    "outside",   "other format"};
constexpr std::string_view name_of(Rejection rejection) {
  return rejection_names[static_cast<size_t>(rejection)];
}

/// What --max-bad counts and --retry-failed reads again.
constexpr bool is_unreadable(Rejection rejection) {
  return rejection == Rejection::unreadable_image || rejection == Rejection::unreadable_tags;
}

struct SourceItem {
  std::string key;
  std::string file;  ///< the tar, image or list it is in, for messages and rejected.jsonl
  std::vector<std::string> tags;  ///< as given
  std::optional<std::vector<std::string>> truth;
  // The encoded image is one of these.
  std::span<const std::byte> bytes;  ///< a member of a tar, and …
  std::filesystem::path tar;         ///< … of which of the source's tars()
  int64_t offset = -1;               ///< … and where in it
  std::filesystem::path path;        ///< a file
  std::string made;                  ///< an image made of the source's pixels, or a changed copy
  int orientation = 0;  ///< EXIF 1 … 8 as its metadata have it, for images without one; 0: unknown
  int64_t stored_width =
      0;  ///< … and its size when they were written, 0: unknown. An image that has
  int64_t stored_height = 0;  ///< been turned since is not turned again
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
  /// The tars that images can be indexed in; none for other sources.
  virtual std::vector<std::filesystem::path> tars() const { return {}; }
  /// What was found when it was opened.
  const SourceReport& report() const { return report_; }

 protected:
  SourceReport report_;  ///< for the constructor
};

enum class SourceKind {
  webdataset,
  json_lines,
  csv,
  tsv,
  folder,
  yfcc100m,
  cifar10,
  cifar100,
  idx,
  tiny_imagenet,
  photos,
};
/// As `--format` and a source's prefix name them, in the order of SourceKind.
inline constexpr std::array<std::string_view, 11> source_kind_names = {
    "webdataset", "jsonl",    "csv", "tsv",           "folder", "yfcc100m",
    "cifar10",    "cifar100", "idx", "tiny-imagenet", "photos"};

/// Which columns of a list, or fields of a JSON object, hold what. Empty: the usual names.
struct ColumnNames {
  std::vector<std::string> image, tags, truth, key;
};
/// "image=file_name,tags=hashtags,tags=category". Throws Error(usage) naming what is not so.
ColumnNames parse_columns(std::string_view text);

struct SourceOptions {
  std::string format;  ///< a name of source_kind_names: of all sources without a prefix
  ColumnNames columns;
  std::string tag_separator;  ///< characters between tags in one text; "": found (tag_column.h)
  std::filesystem::path label_names;  ///< a name a line, for sources whose labels are numbers
  std::filesystem::path wordnet = "/usr/share/wordnet";  ///< folder with data.noun
  std::vector<std::filesystem::path> images;  ///< folders and tars with the images lists name
  bool allow_outside =
      false;  ///< lists may name what lies outside `images`, links what lies outside
  /// Which of a WebDataset sample's several images and texts: "jpg", "input.jpg", "cls".
  std::string image_field, tag_field;
};

/// One source: what a name on the command line stands for is often several.
struct SourceSpec {
  std::filesystem::path path;
  SourceKind kind;
};

struct FoundSources {
  std::vector<SourceSpec> sources;
  std::vector<SourceSpec> found_val;  ///< beside training sources: val/ beside train/
  SourceReport report;                ///< on what lies beside them
};

/// A folder of tars becomes its tars, a folder of a known data set that part of it which is for
/// training (for evaluation if `validation`), a folder with train/ and val/ (or test/) the one
/// asked for. Files that accompany others (img2dataset's _stats.json and .parquet, IDX labels)
/// are no sources. "KIND:PATH" says what PATH is, else its content does.
/// `standard_input`: a file that holds it, for the source "-". Throws Error(usage) for what does
/// not exist or is of no known kind.
FoundSources expand_sources(const std::vector<std::string>& names, bool validation,
                            const SourceOptions& options,
                            const std::filesystem::path& standard_input);

/// The files that a source is read from, absolute: itself and what belongs to it; of a folder its
/// images.
std::vector<std::filesystem::path> input_files(const SourceSpec& source,
                                               const SourceOptions& options);

/// Opens a source; `work`: a folder for what it unpacks, found again by the next call. Throws Error
/// for a damaged tar or list. Not for the same compressed file from several threads.
std::unique_ptr<Source> open_source(const SourceSpec& source, const SourceOptions& options,
                                    const std::filesystem::path& standard_input,
                                    const std::filesystem::path& work);

/// The key as it may stand in keys.txt and as a member's name in a shard: valid UTF-8 without
/// control characters, relative, and no dot in its last part (where WebDataset's extensions begin).
std::string safe_key(std::string_view key);
/// The text with what is not UTF-8, and control characters, as '_'.
std::string printable(std::string_view text);

}  // namespace hardmoe
