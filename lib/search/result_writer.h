// How found images are told: as lines with tabs, as JSON lines, and as a contact sheet.
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"
#include "search/neighbour_index.h"

namespace hardmoe {

/// What was looked for.
struct QueryName {
  enum class Kind { image, tag } kind = Kind::image;
  std::string name;
};

enum class SearchForm { lines, json };

/// Returns what is printed of a query: a line a neighbour, "QUERY<tab>DISTANCE<tab>SHARD.tar: KEY",
/// or one line of JSON.
std::string found_lines(SearchForm form, const Collection& images, const QueryName& query,
                        std::span<const Neighbour> found);
/// Returns the line of an image that cannot be read; only JSON has one.
std::string error_line(SearchForm form, const QueryName& query, const std::string& error);
/// Returns the line of a pair.
std::string pair_line(SearchForm form, const Collection& images, const NearPair& pair);

/// A contact sheet of the first 256 rows it is given, with the 32 nearest images of each at most.
class SearchSheet {
 public:
  static constexpr int tile = 64;  ///< pixels of an image

  /// Does nothing where `file` (see check_sheet_file()) is empty. `images` must outlive it;
  /// `neighbours`: those of a row.
  SearchSheet(std::filesystem::path file, const Collection& images, int64_t neighbours)
      : file_(std::move(file)), images_(images), neighbours_(neighbours) {}

  /// Returns whether a further row will be seen.
  bool wants_rows() const { return !file_.empty() && rows_ < most_rows; }
  /// Adds a row: what was looked for (an empty tensor where that is no image), then images found.
  void add(Tensor query, std::span<const int64_t> found);
  /// Returns an image of the collection as a tile, empty if it cannot be read.
  Tensor tile_of(int64_t image) const { return tiles_of({&image, 1}).front(); }
  /// Writes the file, if there is one and a row, and logs how to read it. Throws Error if none of the
  /// images could be read.
  void write() const;

 private:
  static constexpr int64_t most_rows = 256, most_columns = 32;

  int64_t columns() const { return std::min(neighbours_, most_columns); }
  /// Returns images of the collection as tiles, read in threads.
  std::vector<Tensor> tiles_of(std::span<const int64_t> images) const;

  std::filesystem::path file_;
  const Collection& images_;
  int64_t neighbours_;
  int64_t rows_ = 0;
  std::vector<Tensor> tiles_;
};

}  // namespace hardmoe
