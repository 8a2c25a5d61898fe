// A text of records, one a line, found by number without holding them all: a list of images.
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

enum class RecordForm {
  line,  ///< ends with the line
  /// As CSV (RFC 4180): a field within double quotes may hold line ends. Where no quote before a
  /// separator or the record's end closes it within 16 KiB, the record ends with its first line.
  quoted,
};

/// What stands between fields, and whether they may be within double quotes.
struct TableForm {
  char separator = ',';
  RecordForm records = RecordForm::quoted;
  bool skip_blanks = false;  ///< those before a field do not count: image, "a, b"
};

struct Record {
  std::string_view text;  ///< without its line end
  int64_t line;           ///< of the file, from 1
};

/// Blank lines are no records. Lines end with LF or CR LF, or with CR in a file that has no LF in
/// its first MiB. Takes 1/4 byte of memory a record; the file is mapped.
class RecordFile {
 public:
  /// Throws Error for what is no file, Error(usage) for UTF-16, Error(interrupted) after SIGTERM.
  RecordFile(const std::filesystem::path& file, RecordForm form);
  RecordFile(const std::filesystem::path& file, const TableForm& form);
  int64_t size() const { return size_; }
  /// Record 0 … size()-1; from several threads at once.
  Record record(int64_t number) const;

  /// Calls take(record) for all records, or for a sample of them, evenly spread: the same at each
  /// call, of some 65,536 records and 64 MiB at most.
  template <class Take>
  void sample(const Take& take) const;

  /// Blank lines between records, and where the first three are.
  int64_t blank_lines() const { return blank_lines_; }
  const std::vector<int64_t>& first_blank_lines() const { return first_blank_lines_; }

 private:
  struct Position {
    size_t at;
    int64_t line;
  };
  /// The record at or after `position`, which is moved behind it; empty text at the end.
  Record next(Position& position) const;
  size_t end_of_record(size_t at, int64_t& lines) const;
  size_t end_of_quoted(size_t at, int64_t& lines) const;

  static constexpr int64_t records_a_mark = 64;
  MappedFile map_;
  std::string_view text_;
  TableForm form_;
  char line_end_ = '\n';
  int64_t size_ = 0;
  std::vector<Position> marks_;  ///< of each 64th record
  int64_t blank_lines_ = 0;
  std::vector<int64_t> first_blank_lines_;
};

/// How the file is to be read as CSV (`separator` ',') or TSV ('\t').
///
/// CSV has quotes. A TSV has them if at most 1 in 100 of its fields with a quote are not as pandas
/// or Python's csv module would have written them: within quotes from end to end, quotes inside
/// doubled. Else a quote is a character as any other. `skip_blanks`: where the first line has a
/// blank before each field but the first.
struct FoundForm {
  TableForm form;
  int64_t quoted = 0, stray = 0;  ///< a TSV's fields with quotes: as written by those, and others
  int64_t stray_line = 0;         ///< of the first of the others
};
FoundForm find_form(const std::filesystem::path& file, char separator);

struct TableRow {
  std::vector<std::string> fields;
  bool quote_is_open = false;  ///< the last field's opening quote has no other
};

/// A record's fields; those within double quotes lose them, "" standing for one.
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
