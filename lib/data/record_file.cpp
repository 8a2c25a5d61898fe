#include "data/record_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/signals.h"
#include "base/text.h"

namespace hardmoe {
namespace {

// Without this limit a quote that is never closed would make the rest of the file one field.
constexpr size_t longest_over_lines = size_t{1} << 14;

std::string_view text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

/// Returns what ends a line of the text.
char line_end_of(std::string_view text) {
  text = text.substr(0, size_t{1} << 20);
  const bool old_mac =
      text.find('\n') == std::string_view::npos && text.find('\r') != std::string_view::npos;
  return old_mac ? '\r' : '\n';
}

}  // namespace

RecordFile::RecordFile(const std::filesystem::path& file, RecordForm form)
    : RecordFile(file, TableForm{',', form, false}) {}

RecordFile::RecordFile(const std::filesystem::path& file, const TableForm& form)
    : map_(file), text_(text_of(map_)), form_(form), line_end_(line_end_of(text_)) {
  if (is_utf16(text_)) {
    fail_usage("{}: UTF-16, expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)", file.string());
  }
  Position position{text_.size() - without_byte_order_mark(text_).size(), 1};
  int64_t blank = 0, expected = 1;
  while (true) {
    const Position before = position;
    const Record record = next(position);
    if (record.text.empty()) break;
    for (int64_t line = expected; line < record.line; ++line) {
      if (first_blank_lines_.size() < 3) first_blank_lines_.push_back(line);
    }
    blank += record.line - expected;
    expected = position.line;
    if (size_++ % records_a_mark == 0) {
      throw_if_interrupted();
      marks_.push_back(before);
    }
  }
  blank_lines_ = blank;
}

size_t RecordFile::end_of_record(size_t at, int64_t& lines) const {
  if (form_.records == RecordForm::quoted) {
    const size_t end = end_of_quoted(at, lines);
    if (end != std::string_view::npos) return end;
    lines = 1;
  }
  return std::min(text_.find(line_end_, at), text_.size());
}

/// Returns the record's end; npos if it has several lines and no quote nearby closes its field.
size_t RecordFile::end_of_quoted(size_t at, int64_t& lines) const {
  const size_t begin = at;
  bool quoted = false, field_begins = true;
  bool closed = false;  // after a quoted field, before its separator
  for (; at < text_.size(); ++at) {
    const char c = text_[at];
    if (c == '"' && (quoted || field_begins)) {
      quoted = !quoted;
      closed = !quoted;
      // A doubled quote closes the field and opens it again.
      field_begins = !quoted;
      continue;
    }
    if (c == line_end_) {
      if (!quoted) return at;
      ++lines;
    }
    if (lines > 1 && at - begin > longest_over_lines) break;
    if (quoted) continue;
    const bool separator = c == form_.separator;
    if (separator) closed = false;
    if (closed && lines > 1 && c != '\r' && c != ' ') break;
    field_begins = separator || (field_begins && form_.skip_blanks && c == ' ');
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
  return {{}, position.line};
}

Record RecordFile::record(int64_t number) const {
  Position position = marks_[static_cast<size_t>(number / records_a_mark)];
  for (int64_t skip = number % records_a_mark; skip > 0; --skip) next(position);
  return next(position);
}

namespace {

/// Counts whether a text's fields with quotes are as a writer that quotes fields would write them.
class QuoteCounter {
 public:
  QuoteCounter(std::string_view text, char separator, char line_end)
      : text_(text), separator_(separator), line_end_(line_end) {
    separators_ = separators_in(text.substr(0, text.find(line_end)));
  }

  void count(FoundForm& found) {
    // Enough have been counted to decide; counting millions more would not change it.
    constexpr int64_t enough = 100'000;
    while (at_ < text_.size() && found.quoted + found.stray < enough) {
      at_ = next_quote(at_);
      if (at_ == std::string_view::npos) return;
      const bool begins = at_ == 0 || ends_field(text_[at_ - 1]);
      const size_t end = begins ? end_of_quoted(at_ + 1) : std::string_view::npos;
      if (end != std::string_view::npos && !is_needless(at_, end)) {
        ++found.quoted;
        at_ = end;
        continue;
      }
      if (found.stray++ == 0) {
        found.stray_line =
            1 + std::count(text_.begin(), text_.begin() + static_cast<int64_t>(at_), line_end_);
      }
      while (at_ < text_.size() && !ends_field(text_[at_])) ++at_;  // count one fault a field
    }
  }

 private:
  bool ends_field(char c) const { return c == separator_ || c == line_end_ || c == '\r'; }

  size_t next_quote(size_t at) const {
    constexpr size_t piece = size_t{1} << 26;  // bytes searched between checks for interruption
    for (; at < text_.size(); at += piece) {
      throw_if_interrupted();
      const size_t found = text_.substr(at, piece).find('"');
      if (found != std::string_view::npos) return at + found;
    }
    return std::string_view::npos;
  }

  int64_t separators_in(std::string_view text) const {
    return std::count(text.begin(), text.end(), separator_);
  }

  /// Returns whether the text between two quotes contains separators or line ends although, without
  /// the quotes, each line has as many fields as the heading: then the quotes are not a field's.
  bool is_needless(size_t begin, size_t end) const {
    const auto span = text_.substr(begin, end - begin);
    if (span.find(separator_) == std::string_view::npos &&
        span.find(line_end_) == std::string_view::npos) {
      return false;
    }
    size_t line = begin == 0 ? 0 : text_.rfind(line_end_, begin - 1) + 1;
    while (line < end) {
      const size_t line_end = std::min(text_.find(line_end_, line), text_.size());
      if (separators_in(text_.substr(line, line_end - line)) != separators_) return false;
      line = line_end + 1;
    }
    return true;
  }

  /// Returns the position after the quote that closes the field; npos if there is none.
  size_t end_of_quoted(size_t at) const {
    const std::string_view near = text_.substr(0, at + longest_over_lines);
    while (true) {
      at = near.find('"', at);
      if (at == std::string_view::npos) return std::string_view::npos;
      ++at;
      if (at == text_.size() || ends_field(text_[at])) return at;
      if (text_[at] != '"') return std::string_view::npos;
      ++at;
    }
  }

  std::string_view text_;
  char separator_, line_end_;
  int64_t separators_ = 0;  ///< in the first line
  size_t at_ = 0;
};

/// Returns whether a blank precedes each field of the first line except the first.
bool has_blanks_before_fields(std::string_view text, char separator) {
  const std::string_view line = text.substr(0, text.find(line_end_of(text)));
  size_t fields = 0;
  for (size_t at = line.find(separator); at != std::string_view::npos;
       at = line.find(separator, at + 1)) {
    if (at + 1 >= line.size() || line[at + 1] != ' ') return false;
    ++fields;
  }
  return fields > 0;
}

}  // namespace

FoundForm find_form(const std::filesystem::path& file, char separator) {
  const MappedFile map(file);
  const std::string_view text = without_byte_order_mark(text_of(map));
  FoundForm found;
  found.form.separator = separator;
  found.form.skip_blanks = has_blanks_before_fields(text, separator);
  if (separator == ',') return found;
  QuoteCounter(text, separator, line_end_of(text)).count(found);
  const bool quotes = found.quoted > 0 && found.stray * 100 <= found.quoted + found.stray;
  found.form.records = quotes ? RecordForm::quoted : RecordForm::line;
  return found;
}

TableRow split_fields(std::string_view record, const TableForm& form) {
  if (form.records == RecordForm::line) return {split(record, form.separator)};
  std::vector<std::string> fields(1);
  bool inside = false;
  bool closed = false;  // so that "" is an empty field, and a later quote does not open one
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
        closed = true;
      }
    } else if (!inside && c == '"' && field.empty() && !closed) {
      inside = true;
    } else if (!inside && c == form.separator) {
      fields.emplace_back();
      closed = false;
    } else if (!(form.skip_blanks && c == ' ' && field.empty() && !inside && !closed)) {
      field += c;
    }
  }
  return {std::move(fields), inside};
}

}  // namespace hardmoe
