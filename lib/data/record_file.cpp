#include "data/record_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

constexpr int64_t records_a_mark = 64;
constexpr size_t longest_record = size_t{1} << 24;
// A quote that is never closed would make the rest of the file one field.
constexpr size_t longest_over_lines = size_t{1} << 14;

}  // namespace

RecordFile::RecordFile(const std::filesystem::path& file, RecordForm form)
    : map_(file),
      text_(reinterpret_cast<const char*>(map_.bytes().data()), map_.bytes().size()),
      form_(form) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  Position position{text_.starts_with(byte_order_mark) ? byte_order_mark.size() : 0, 1};
  while (true) {
    const Position before = position;
    const Record record = next(position);
    if (record.text.empty()) break;
    if (record.text.size() > longest_record) {
      fail("{}, line {}: a record of {} bytes, expected {} at most", file.string(), record.line,
           record.text.size(), longest_record);
    }
    if (size_++ % records_a_mark == 0) marks_.push_back(before);
  }
}

size_t RecordFile::end_of_record(size_t at, int64_t& lines) const {
  if (form_ == RecordForm::quoted) {
    const size_t end = end_of_quoted(at, lines);
    if (end != std::string_view::npos) return end;
    lines = 1;
  }
  return std::min(text_.find('\n', at), text_.size());
}

/// npos where the record has several lines and no quote near enough that may close its field.
size_t RecordFile::end_of_quoted(size_t at, int64_t& lines) const {
  const size_t begin = at;
  bool quoted = false, field_begins = true;
  bool closed = false;  // a quoted field is behind, its comma ahead
  for (; at < text_.size(); ++at) {
    const char c = text_[at];
    if (c == '"' && (quoted || field_begins)) {
      quoted = !quoted;
      closed = !quoted;
      // A doubled quote closes and opens again.
      field_begins = !quoted;
      continue;
    }
    if (c == '\n') {
      if (!quoted) return at;
      ++lines;
    }
    if (lines > 1 && at - begin > longest_over_lines) break;
    if (quoted) continue;
    if (c == ',') closed = false;
    if (closed && lines > 1 && c != '\r' && c != ' ') break;
    field_begins = c == ',';
  }
  return at == text_.size() && !quoted ? at : std::string_view::npos;
}

Record RecordFile::next(Position& position) const {
  while (position.at < text_.size()) {
    const size_t begin = position.at;
    Record record{{}, position.line};
    int64_t lines = 1;
    const size_t end = end_of_record(begin, lines);
    record.text = text_.substr(begin, end - begin);
    position = {std::min(end + 1, text_.size()), position.line + lines};
    if (record.text.ends_with('\r')) record.text.remove_suffix(1);
    if (!trim(record.text).empty()) return record;
  }
  return {};
}

Record RecordFile::record(int64_t number) const {
  Position position = marks_[static_cast<size_t>(number / records_a_mark)];
  for (int64_t skip = number % records_a_mark; skip > 0; --skip) next(position);
  return next(position);
}

TableRow split_fields(std::string_view record, char separator, bool quoted) {
  if (!quoted) return {split(record, separator)};
  std::vector<std::string> fields(1);
  bool inside = false;
  for (size_t i = 0; i < record.size(); ++i) {
    const char c = record[i];
    std::string& field = fields.back();
    if (inside && c == '"') {
      const bool doubled = i + 1 < record.size() && record[i + 1] == '"';
      if (doubled) {
        field += '"';
        ++i;
      } else {
        inside = false;
      }
    } else if (!inside && c == '"' && field.empty()) {
      inside = true;
    } else if (!inside && c == separator) {
      fields.emplace_back();
    } else {
      field += c;
    }
  }
  return {std::move(fields), inside};
}

}  // namespace hardmoe
