#include "run/log_warnings.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"

namespace hardmoe {
namespace {

constexpr std::string_view mark = "warning: ";  // as log_line writes it
constexpr int looks_until_still = 5;

uintmax_t size_of_file(const std::filesystem::path& file) {
  try {
    return path_kind(file) == PathKind::file ? file_size_of(file) : 0;
  } catch (const Error&) {
    return 0;
  }
}

/// Returns whether this is a line of indented_list, not of a table that the command printed next.
bool belongs_to_warning(std::string_view line) {
  return line.starts_with("  ") && line.size() > 2 && line[2] != ' ';
}

/// Returns the end of the line that begins at `at`, after its line break; npos if it has none.
size_t line_end(std::string_view text, size_t at) {
  const size_t end = text.find('\n', at);
  return end == std::string_view::npos ? end : end + 1;
}

}  // namespace

LogWarnings::LogWarnings(std::string name, std::filesystem::path log)
    : name_(std::move(name)), log_(std::move(log)), repeated_(size_of_file(log_)) {}

void LogWarnings::repeat(bool ended) {
  const uintmax_t size = size_of_file(log_);
  unchanged_ = size == seen_ ? unchanged_ + 1 : 0;
  seen_ = size;
  const bool growing = !ended && unchanged_ < looks_until_still;
  if (size <= repeated_) return;
  const std::string bytes = read_piece(log_, repeated_, size - repeated_);
  const std::string_view text = bytes;
  size_t at = 0;
  for (size_t end = line_end(text, at); end != std::string_view::npos; end = line_end(text, at)) {
    if (text.substr(at).starts_with(mark)) {
      // The warning goes on while indented lines follow; more may come while the log grows.
      size_t next = line_end(text, end);
      while (next != std::string_view::npos && belongs_to_warning(text.substr(end))) {
        end = next;
        next = line_end(text, end);
      }
      const bool complete = end < text.size() && text[end] != ' ';
      if (growing && !complete) break;
      const auto message = text.substr(at + mark.size(), end - 1 - at - mark.size());
      log_warning("{}: {}", name_, message);
    }
    at = end;
  }
  repeated_ += at;
}

}  // namespace hardmoe
