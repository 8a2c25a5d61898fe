// What lists of images have in common, whatever their lines look like: records, and images that
// they name. For source_list.cpp and source_table.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/kinds.h"

namespace hardmoe {

class ListSource : public Source {
 public:
  ListSource(const ListFile& list, const SourceOptions& options, const TableForm& form);

  int64_t size() const override;
  std::vector<std::filesystem::path> tars() const override { return store_.tars(); }
  SourceItem item(int64_t number) const override;

 protected:
  /// Reads the record's tags, its image by take_image().
  virtual void read(std::string_view record, SourceItem& item) const = 0;

  /// The image of that path; `key`: "": the path without its extension.
  void take_image(const std::string& image, const std::string& key, SourceItem& item) const;
  /// Its key where it is not taken by path.
  static std::string key_of(const std::filesystem::path& image, const std::string& key);
  /// Tells which columns hold what, and what is passed over.
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

/// Columns or fields with an image's path, where none is asked for.
inline const std::vector<std::string> usual_image_names = {"image", "path", "file", "filename",
                                                           "file_name"};

}  // namespace hardmoe
