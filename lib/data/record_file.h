// A text of records, one a line, found by number without holding them all: a list of images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace hardmoe {

enum class RecordForm {
  line,  ///< ends with the line
  /// As CSV (RFC 4180): a field within double quotes may hold line ends. Where no quote before a
  /// comma or the record's end closes it within 16 KiB, the record ends with its first line.
  quoted,
};

struct Record {
  std::string_view text;  ///< without its line end
  int64_t line;           ///< of the file, from 1
};

/// Blank lines are no records. Takes 1/4 byte of memory a record; the file is mapped.
class RecordFile {
 public:
  RecordFile(const std::filesystem::path& file, RecordForm form);
  int64_t size() const { return size_; }
  /// Record 0 … size()-1; from several threads at once.
  Record record(int64_t number) const;

 private:
  struct Position {
    size_t at;
    int64_t line;
  };
  /// The record at or after `position`, which is moved behind it; empty text at the end.
  Record next(Position& position) const;
  size_t end_of_record(size_t at, int64_t& lines) const;
  size_t end_of_quoted(size_t at, int64_t& lines) const;

  MappedFile map_;
  std::string_view text_;
  RecordForm form_;
  int64_t size_ = 0;
  std::vector<Position> marks_;  ///< of each 64th record
};

struct TableRow {
  std::vector<std::string> fields;
  bool quote_is_open = false;  ///< the last field's opening quote has no other
};

/// A line's fields. With `quoted`, those within double quotes lose them, "" standing for one.
TableRow split_fields(std::string_view record, char separator, bool quoted);

}  // namespace hardmoe
