#include "fuzz/input_files.h"

#include <algorithm>
#include <string>

#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view heading_begins = "==> ", heading_ends = " <==\n";

const TemporaryFolder& own_folder() {
  static const TemporaryFolder folder;
  return folder;
}

/// The line before a file.
struct Heading {
  size_t begin = std::string_view::npos, end = std::string_view::npos;
  std::string_view name;
};

/// The first line from `at` on that tells of one of the names; at the text's end if there is none.
Heading next_heading(std::string_view text, size_t at, std::span<const std::string_view> names) {
  while ((at = text.find(heading_begins, at)) != std::string_view::npos) {
    const size_t name = at + heading_begins.size();
    const size_t end = text.find(heading_ends, name);
    if (end == std::string_view::npos) break;
    const std::string_view found = text.substr(name, end - name);
    const bool begins_line = at == 0 || text[at - 1] == '\n';
    if (begins_line && std::ranges::find(names, found) != names.end()) {
      return {at, end + heading_ends.size(), found};
    }
    at = name;
  }
  return {text.size(), text.size(), {}};
}

}  // namespace

fs::path file_of(std::string_view bytes) {
  const auto file = own_folder() / "input";
  overwrite(file, std::string(bytes));
  return file;
}

fs::path folder_of(std::string_view bytes, std::span<const std::string_view> names) {
  const fs::path folder = own_folder() / "inputs";
  fs::remove_all(folder);
  fs::create_directory(folder);
  for (Heading file = next_heading(bytes, 0, names); !file.name.empty();) {
    const Heading next = next_heading(bytes, file.end, names);
    std::string_view content = bytes.substr(file.end, next.begin - file.end);
    if (!next.name.empty() && content.ends_with('\n')) content.remove_suffix(1);
    fs::create_directories((folder / file.name).parent_path());
    overwrite(folder / file.name, std::string(content));
    file = next;
  }
  return folder;
}

}  // namespace hardmoe
