#include "moe/embedding_parts.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr int64_t most_parts = 100'000;

/// Returns the number that is all of the text, or nothing.
std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

/// Returns the part that begins and separator name, such as "part-03-of-16"; nothing for other names.
std::optional<EmbeddingPart> part_named(std::string_view name, std::string_view begin,
                                        std::string_view separator) {
  const size_t middle = name.find(separator);
  if (!name.starts_with(begin) || middle == std::string_view::npos) return {};
  const auto number = whole_number(name.substr(begin.size(), middle - begin.size()));
  const auto of = whole_number(name.substr(middle + separator.size()));
  if (!number || !of || *number < 1 || *of > most_parts || *number > *of) return {};
  return EmbeddingPart{*number, *of};
}

}  // namespace

std::pair<int64_t, int64_t> EmbeddingPart::rows_of(int64_t rows) const {
  return {rows * (number - 1) / of, rows * number / of};
}

EmbeddingPart parse_embedding_part(const std::string& text) {
  if (const auto part = part_named(text, "", "/")) return *part;
  fail_usage("--part {}: expected a part and how many there are, such as 1/16 to 16/16", text);
}

fs::path folder_of_part(const fs::path& out, const EmbeddingPart& part) {
  if (part.is_all()) return out;
  const size_t digits = std::to_string(part.of).size();
  return out / fmt::format("part-{:0{}}-of-{}", part.number, digits, part.of);
}

std::vector<fs::path> part_folders(const fs::path& out) {
  std::map<int64_t, fs::path> parts;
  int64_t of = 0;
  for (const FolderEntry& entry : list_folder(out)) {
    const auto part = part_named(entry.name(), "part-", "-of-");
    if (!part || entry.kind() != PathKind::folder) continue;
    if (of != 0 && part->of != of) {
      fail_usage("{}: holds parts of an embedding in {} and in {}; remove those of one kind",
                 out.string(), of, part->of);
    }
    of = part->of;
    parts[part->number] = entry.path();
  }
  std::vector<std::string> missing;
  std::vector<fs::path> folders;
  for (int64_t number = 1; number <= of; ++number) {
    const auto part = parts.find(number);
    if (part == parts.end()) {
      missing.push_back(fmt::format("--part {}/{}", number, of));
    } else {
      folders.push_back(part->second);
    }
  }
  if (missing.empty()) return folders;
  fail_usage("{}: {} of {} parts of the embedding are missing; make them with moe-embed's:{}",
             out.string(), missing.size(), of, indented_list(missing));
}

}  // namespace hardmoe
