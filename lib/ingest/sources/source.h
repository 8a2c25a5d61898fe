// A source of images and tags, before they are a dataset. datasets/README.md describes each kind of
// source; sources.cpp guesses the kind from the content. Not for reading a dataset: see
// data/dataset.h.
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

/// Why an item is not an image of the dataset. The numbers are those in status.npy.
enum class Rejection : uint8_t {
  none,
  unreadable_image,
  unreadable_tags,  ///< its metadata is damaged
  no_image,         ///< metadata without an image beside it
  repeated,         ///< a second file of the same name, or a second image with the same key
  no_tags,
  no_kept_tag,  ///< none of its tags is in the vocabulary
  too_large,    ///< more pixels than allowed
  too_small,
  too_elongated,   ///< its sides are too unequal
  duplicate,       ///< the same bytes as an earlier image
  near_duplicate,  ///< looks like an earlier image
  absent_label,    ///< says what an image does not show (Open Images' confidence 0)
  outside,         ///< a path or link that leaves the folder or archive it is confined to
  other_format,    ///< an image in a format that is not read
  not_sampled,     ///< not of the share of training images that is kept; not examined, not listed
};
inline constexpr std::array<std::string_view, 16> rejection_names = {"",
                                                                     "unreadable image",
                                                                     "unreadable tags",
                                                                     "no image",
                                                                     "repeated",
                                                                     "no tags",
                                                                     "no kept tag",
                                                                     "too large",
                                                                     "too small",
                                                                     "too elongated",
                                                                     "duplicate",
                                                                     "near duplicate",
                                                                     "absent label",
                                                                     "outside",
                                                                     "other format",
                                                                     "left out by --sample"};
constexpr std::string_view name_of(Rejection rejection) {
  return rejection_names[static_cast<size_t>(rejection)];
}

/// Returns whether --max-bad counts the item and --retry-failed reads it again.
constexpr bool is_unreadable(Rejection rejection) {
  return rejection == Rejection::unreadable_image || rejection == Rejection::unreadable_tags;
}

/// One item: an image with tags, or the reason why it is rejected.
struct SourceItem {
  std::string key;
  std::string file;  ///< the tar, image or list that contains it, for messages and rejected.jsonl
  std::vector<std::string> tags;  ///< as given
  std::optional<std::vector<std::string>> truth;
  // The encoded image is one of: a member of a tar (bytes, tar, offset), a file (path), or `made`.
  std::span<const std::byte> bytes;  ///< the member's bytes
  std::filesystem::path tar;         ///< the one of the source's tars() that holds them
  int64_t offset = -1;               ///< and where in it
  std::filesystem::path path;        ///< the file
  std::string made;     ///< an image encoded from the source's pixels, or a changed copy
  int orientation = 0;  ///< EXIF 1 … 8 in its metadata, for images without one; 0: unknown
  /// The image's size when that orientation was written, 0: unknown. An image whose size differs
  /// was turned since and is not turned again.
  int64_t stored_width = 0;
  int64_t stored_height = 0;
  Rejection rejection = Rejection::none;
  std::string detail;  ///< why it is rejected
};

/// Items by number. item() may be called from several threads at once.
class Source {
 public:
  virtual ~Source() = default;
  virtual int64_t size() const = 0;
  /// Returns item 0 … size()-1. Faults are stored in the item, not thrown.
  virtual SourceItem item(int64_t number) const = 0;
  /// Returns the tars in which images can be indexed in place; none for other sources.
  virtual std::vector<std::filesystem::path> tars() const { return {}; }
  /// Returns what was found when the source was opened.
  const SourceReport& report() const { return report_; }

 protected:
  SourceReport report_;  ///< filled in by constructors
};

/// The kinds of source.
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
/// Their names in `--format` and in a source's prefix, in the order of SourceKind.
inline constexpr std::array<std::string_view, 11> source_kind_names = {
    "webdataset", "jsonl",    "csv", "tsv",           "folder", "yfcc100m",
    "cifar10",    "cifar100", "idx", "tiny-imagenet", "photos"};

/// The columns of a list, or fields of a JSON object, for each purpose. Empty: the usual names.
struct ColumnNames {
  std::vector<std::string> image, tags, truth, key;
};
/// Parses "image=file_name,tags=hashtags,tags=category". Throws Error(usage) naming what is wrong.
ColumnNames parse_columns(std::string_view text);

/// How sources are read.
struct SourceOptions {
  std::string format;  ///< a name of source_kind_names, for sources without a prefix
  ColumnNames columns;
  std::string tag_separator;  ///< characters between tags in a text; "": detected (tag_column.h)
  std::filesystem::path label_names;  ///< a name a line, for sources whose labels are numbers
  std::filesystem::path wordnet = "/usr/share/wordnet";  ///< folder with data.noun
  std::vector<std::filesystem::path> images;  ///< folders and tars with the images that lists name
  /// Lists may name files outside `images`, and links may lead outside.
  bool allow_outside = false;
  /// Which of the several images and texts of a WebDataset sample: "jpg", "input.jpg", "cls".
  std::string image_field, tag_field;
};

/// One source. A name on the command line often means several.
struct SourceSpec {
  std::filesystem::path path;
  SourceKind kind;
};

/// The sources that names mean.
struct FoundSources {
  std::vector<SourceSpec> sources;
  std::vector<SourceSpec> found_val;  ///< found beside training sources, such as val/ beside train/
  SourceReport report;                ///< on other things found beside them
};

/// Finds the sources that names mean. A folder of tars means its tars; a folder of a known data set
/// its training data (its evaluation data if `validation`); a folder with train/ and val/ (or
/// test/) the one asked for. Files that accompany others (img2dataset's _stats.json and .parquet,
/// IDX labels) are not sources. In "KIND:PATH" KIND says what PATH is; otherwise its content does.
/// `standard_input`: a file with its content, for the source "-". Throws Error(usage) for what does
/// not exist or is of no known kind.
FoundSources expand_sources(const std::vector<std::string>& names, bool validation,
                            const SourceOptions& options,
                            const std::filesystem::path& standard_input);

/// Returns the files that a source is read from, as absolute paths: itself and files that belong to
/// it; for a folder, its images.
std::vector<std::filesystem::path> input_files(const SourceSpec& source,
                                               const SourceOptions& options);

/// Opens a source. `work`: a folder for unpacked files, which later calls reuse. Throws Error for a
/// damaged tar or list. Do not call it for the same compressed file from several threads.
std::unique_ptr<Source> open_source(const SourceSpec& source, const SourceOptions& options,
                                    const std::filesystem::path& standard_input,
                                    const std::filesystem::path& work);

/// Returns the key as allowed in keys.txt and as a member's name in a shard: valid UTF-8 without
/// control characters, relative, without a dot in its last part (where WebDataset's extensions
/// begin).
std::string safe_key(std::string_view key);

}  // namespace hardmoe
