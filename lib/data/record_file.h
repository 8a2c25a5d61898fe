// A text file of records, one a line, read by number without holding all of them in memory. For
// lists of images; not for small files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/signals.h"

namespace hardmoe {

/// Where a record ends.
enum class RecordForm {
  line,  ///< at the end of the line
  /// As in CSV (RFC 4180), where a field in double quotes may contain line ends. If no quote before
  /// a separator or record end closes such a field within 16 KiB, the record ends with its first
  /// line.
  quoted,
};

/// How fields are separated, and whether they may be in double quotes.
struct TableForm {
  char separator = ',';
  RecordForm records = RecordForm::quoted;
  bool skip_blanks = false;  ///< ignore blanks before a field, as in: image, "a, b"
};

/// One record.
struct Record {
  std::string_view text;  ///< without its line end
  int64_t line;           ///< number of its first line in the file, from 1
};

/// The records of a file, without blank lines. Lines end with LF or CR LF, or with CR in a file
/// whose first MiB has no LF. The file is mapped; besides, 1/4 byte a record is kept in memory.
class RecordFile {
 public:
  /// Finds the records. Throws Error if it is not a file, Error(usage) for UTF-16,
  /// Error(interrupted) after SIGTERM.
  RecordFile(const std::filesystem::path& file, RecordForm form);
  RecordFile(const std::filesystem::path& file, const TableForm& form);
  int64_t size() const { return size_; }
  /// Returns record 0 … size()-1. Safe to call from several threads at once.
  Record record(int64_t number) const;

  /// Calls take(record) for all records, or for an evenly spread sample of at most about 65,536
  /// records and 64 MiB; the same sample at each call.
  template <class Take>
  void sample(const Take& take) const;

  /// Returns the number of blank lines between records, and where the first three are.
  int64_t blank_lines() const { return blank_lines_; }
  const std::vector<int64_t>& first_blank_lines() const { return first_blank_lines_; }

 private:
  struct Position {
    size_t at;
    int64_t line;
  };
  /// Returns the record at or after `position`, and moves `position` past it; empty text at the
  /// end.
  Record next(Position& position) const;
  size_t end_of_record(size_t at, int64_t& lines) const;
  size_t end_of_quoted(size_t at, int64_t& lines) const;

  static constexpr int64_t records_a_mark = 64;
  MappedFile map_;
  std::string_view text_;
  TableForm form_;
  char line_end_ = '\n';
  int64_t size_ = 0;
  std::vector<Position> marks_;  ///< position of each 64th record
  int64_t blank_lines_ = 0;
  std::vector<int64_t> first_blank_lines_;
};

/// How to read a file as CSV (`separator` ',') or TSV ('\t').
///
/// CSV has quotes. A TSV has quotes if at most 1 in 100 of its fields with a quote deviate from how
/// pandas or Python's csv module would write them: in quotes from end to end, inner quotes doubled.
/// Otherwise a quote is an ordinary character. `skip_blanks` is set if the first line has a blank
/// before each field but the first.
struct FoundForm {
  TableForm form;
  int64_t quoted = 0, stray = 0;  ///< a TSV's fields with quotes: as those write them, and others
  int64_t stray_line = 0;         ///< line of the first of the others
};
/// Finds the form from a sample of the file.
FoundForm find_form(const std::filesystem::path& file, char separator);

/// A record split into fields.
struct TableRow {
  std::vector<std::string> fields;
  bool quote_is_open = false;  ///< the last field's opening quote is never closed
};

/// Returns a record's fields, without their double quotes; "" within quotes becomes ".
TableRow split_fields(std::string_view record, const TableForm& form);

template <class Take>
void RecordFile::sample(const Take& take) const {
  constexpr int64_t most_records = 65'536, most_bytes = int64_t{1} << 26;
  if (size_ == 0) return;
  const auto bytes = static_cast<int64_t>(text_.size());
  const auto marks = static_cast<int64_t>(marks_.size());
  // Some of the blocks that begin at marks.
  const int64_t wanted = std::min(most_records, most_bytes / std::max<int64_t>(bytes / size_, 1));
  const int64_t blocks =
      wanted >= size_ ? marks : std::clamp<int64_t>(wanted / records_a_mark, 1, marks);
  int64_t taken = 0;
  for (int64_t block = 0; block < blocks && taken <= most_bytes; ++block) {
    throw_if_interrupted();
    Position position = marks_[static_cast<size_t>(block * marks / blocks)];
    for (int64_t i = 0; i < records_a_mark; ++i) {
      const Record record = next(position);
      if (record.text.empty() || taken > most_bytes) break;
      taken += static_cast<int64_t>(record.text.size());
      take(record);
    }
  }
}

}  // namespace hardmoe
