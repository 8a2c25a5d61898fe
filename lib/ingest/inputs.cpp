#include "ingest/inputs.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/image_store.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

bool is_stdin(const std::string& name) { return name == "-" || name.ends_with(":-"); }

/// Parses a list into "train\twebdataset\t/data/a.tar" → "1024\t1700000000.000000000".
std::map<std::string, std::string> parse_list(const std::string& text) {
  std::map<std::string, std::string> files;
  for (const auto& line : split(text, '\n')) {
    const auto fields = split(line, '\t');
    if (fields.size() < 3) continue;
    auto& state = files[join({fields.begin(), fields.begin() + 3}, "\t")];
    state = join({fields.begin() + 3, fields.end()}, "\t");
  }
  return files;
}

std::string name_in(const std::string& entry) { return split(entry, '\t')[2]; }

std::string change_of(const std::string& was, const std::string& is) {
  const auto before = split(was, '\t');
  const auto after = split(is, '\t');
  if (before[0] == after[0]) return "written anew";
  if (before.size() < 2 || after.size() < 2) return "other content";
  return fmt::format("{} bytes, was {}", after[0], before[0]);
}

}  // namespace

StandardInput::StandardInput(const IngestOptions& options) {
  const auto named =
      std::count_if(options.sources.begin(), options.sources.end(), is_stdin) +
      std::count_if(options.val_sources.begin(), options.val_sources.end(), is_stdin);
  if (named > 1) fail_usage("standard input ('-') was named twice as a source");
  if (named == 0) return;
  const fs::path out = options.out.empty() ? fs::temp_directory_path() / "moe-ingest"
                                           : fs::absolute(options.out).lexically_normal();
  make_writable_folder(out.parent_path());
  copy_ = TemporaryFile(out.string() + ".stdin");
  file_ = copy_.path();
  std::vector<char> piece(size_t{1} << 16);
  size_t size = 0;
  while (std::cin.read(piece.data(), static_cast<std::streamsize>(piece.size())),
         std::cin.gcount() > 0) {
    const auto count = static_cast<size_t>(std::cin.gcount());
    copy_.write_at(size, piece.data(), count);
    size += count;
  }
}

namespace {

/// Reports validation sources that lie `beside` training sources and are not read.
void leave(const std::vector<SourceSpec>& beside, std::string_view why, FoundSources& found) {
  const SourceSpec* first = nullptr;
  for (const SourceSpec& source : beside) {
    const auto is_same = [&](const SourceSpec& other) {
      const auto same = path_identity(other.path);
      return same && same == path_identity(source.path);
    };
    if (std::any_of(found.found_val.begin(), found.found_val.end(), is_same)) continue;
    if (first == nullptr) first = &source;
    found.report.pass_over("source of the split 'val'", printable(source.path.string()));
  }
  if (first == nullptr) return;
  found.report.warnings.push_back(fmt::format("{}: not read, as {}; leave that out to read it",
                                              printable(first->path.string()), why));
}

}  // namespace

FoundSources find_sources(const IngestOptions& options, const StandardInput& input) {
  FoundSources found = expand_sources(options.sources, false, options.source, input.file());
  const auto beside = std::exchange(found.found_val, {});
  if (!options.val_sources.empty()) {
    for (const auto& name : options.val_sources) {
      FoundSources val = expand_sources({name}, true, options.source, input.file());
      std::move(val.sources.begin(), val.sources.end(), std::back_inserter(found.found_val));
      // Report what lies beside a data set's files once, for their folder.
      const auto& named = options.sources;
      if (std::find(named.begin(), named.end(), name) != named.end()) continue;
      auto& warnings = found.report.warnings;
      std::move(val.report.warnings.begin(), val.report.warnings.end(),
                std::back_inserter(warnings));
      val.report.warnings.clear();
      found.report.add(val.report, name);
    }
    leave(beside, "--val-source names others", found);
  } else if (options.val_fraction > 0) {
    leave(beside, "--val-fraction makes the split 'val'", found);
  } else if (!beside.empty()) {
    found.found_val = beside;
    log_info("{}{}: read as the split 'val'", beside[0].path.string(),
             beside.size() > 1 ? " …" : "");
  }
  return found;
}

std::string list_inputs(const std::vector<SourceSpec>& train, const std::vector<SourceSpec>& val,
                        const SourceOptions& options, const StandardInput& input) {
  std::string text;
  const auto add_name = [&](std::string_view split, std::string_view kind, const fs::path& file) {
    text += fmt::format("{}\t{}\t{}", split, kind, printable(file.string()));
  };
  const auto add_file = [&](std::string_view split, std::string_view kind, const fs::path& file) {
    const FileState state = file_state(file);
    add_name(split, kind, file);
    const bool tar = kind == source_kind_names[static_cast<size_t>(SourceKind::webdataset)];
    text += fmt::format("\t{}\t", state.bytes);
    text += tar ? fmt::format("{}.{:09}\n", state.seconds, state.nanoseconds)
                : fingerprint_of_file(file) + '\n';
  };
  const auto add = [&](const char* split, const SourceSpec& source) {
    const auto kind = source_kind_names[static_cast<size_t>(source.kind)];
    if (source.path == "-") {
      text +=
          fmt::format("{}\t{}\tstandard input\t{}\n", split, kind, sha256_of_file(input.file()));
      return;
    }
    const fs::path root = fs::absolute(source.path).lexically_normal();
    const bool folder = is_folder(source.path);
    for (const auto& file : input_files(source, options)) {
      const fs::path inside = file.lexically_relative(root);
      const bool image = folder && *inside.begin() != ".." && file.extension() != ".txt";
      if (image) {
        add_name(split, kind, file);
        text += '\n';
      } else {
        add_file(split, kind, file);
      }
    }
  };
  for (const auto& source : train) add("train", source);
  for (const auto& source : val) add("val", source);
  for (const auto& images : options.images) {
    const ImageStore::Contents contents = ImageStore::contents_of(images);
    for (const auto& tar : contents.tars) {
      add_file("images", "webdataset", fs::absolute(tar).lexically_normal());
    }
    if (contents.is_folder) {
      const fs::path folder = fs::absolute(images / ".").lexically_normal().parent_path();
      add_name("images", "folder", folder);
      text += '\n';
    }
  }
  return text;
}

std::vector<std::string> differences_of_inputs(const std::string& was, const std::string& is) {
  if (was == is) return {};
  const auto before = parse_list(was);
  const auto after = parse_list(is);
  std::vector<std::string> changes;
  for (const auto& [entry, state] : after) {
    const auto found = before.find(entry);
    if (found == before.end()) {
      changes.push_back(fmt::format("added {}", name_in(entry)));
    } else if (found->second != state) {
      changes.push_back(
          fmt::format("changed {} ({})", name_in(entry), change_of(found->second, state)));
    }
  }
  for (const auto& [entry, state] : before) {
    if (!after.contains(entry)) changes.push_back(fmt::format("gone {}", name_in(entry)));
  }
  if (changes.empty()) changes.push_back("the same in another order");
  return changes;
}

}  // namespace hardmoe
