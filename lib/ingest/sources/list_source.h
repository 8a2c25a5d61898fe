// What all lists of images have in common: records, and images that they name. For list.cpp's and
// table.cpp's kinds of source.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/kinds.h"

namespace hardmoe {

/// A source whose items are a list's records.
class ListSource : public Source {
 public:
  ListSource(const ListFile& list, const SourceOptions& options, const TableForm& form);

  int64_t size() const override;
  std::vector<std::filesystem::path> tars() const override { return store_.tars(); }
  SourceItem item(int64_t number) const override;

 protected:
  /// Reads a record's tags, and its image by take_image().
  virtual void read(std::string_view record, SourceItem& item) const = 0;

  /// Sets the item's image to the one at that path. `key`: the item's key; "": the path without its
  /// extension.
  void take_image(const std::string& image, const std::string& key, SourceItem& item) const;
  /// Returns the item's key if it is not taken from the path.
  static std::string key_of(const std::filesystem::path& image, const std::string& key);
  /// Reports blank lines as passed over.
  void report_blank_lines();

  ListFile list_;
  SourceOptions options_;
  RecordFile records_;
  int64_t headings_ = 0;  ///< records before the first item

 private:
  std::string why_not_there(const std::string& image) const;

  ImageStore store_;
  std::vector<std::string> label_names_;
};

std::unique_ptr<Source> open_json_lines(const ListFile& list, const SourceOptions& options);
std::unique_ptr<Source> open_table(const ListFile& list, const SourceOptions& options);

/// The usual names of columns or fields that hold an image's path.
inline const std::vector<std::string> usual_image_names = {"image", "path", "file", "filename",
                                                           "file_name"};

}  // namespace hardmoe
