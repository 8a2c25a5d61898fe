// What a name on the command line is: the kinds of source, told apart by their content.
#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "data/compressed.h"
#include "data/source_kinds.h"
#include "data/wordnet.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

const char* const kinds_there_are =
    "name tars, lists of images (JSON lines, CSV, TSV), folders, the files of a known data set, or "
    "'-'";

std::string extension(const fs::path& path) { return lower_ascii(path.extension().string()); }

std::vector<fs::path> files_in(const fs::path& folder, const auto& wanted) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::error_code ignored;
    if (wanted(entry.path()) && entry.is_regular_file(ignored)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::optional<SourceKind> kind_named(std::string_view name) {
  for (size_t kind = 0; kind < source_kind_names.size(); ++kind) {
    if (name == source_kind_names[kind]) return static_cast<SourceKind>(kind);
  }
  return {};
}

std::optional<SourceKind> cifar_kind(const fs::path& folder) {
  if (fs::exists(folder / "batches.meta.txt")) return SourceKind::cifar10;
  if (fs::exists(folder / "fine_label_names.txt")) return SourceKind::cifar100;
  return {};
}

bool is_idx_images(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.find("images") != std::string::npos && name.find("idx3") != std::string::npos;
}

/// By what the file begins with. Nothing for what is none of the kinds.
std::optional<SourceKind> kind_of_text(std::string_view head) {
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  const std::string_view text = trim(head);
  if (text.starts_with('{')) return SourceKind::json_lines;
  if (text.starts_with('[')) return {};  // one JSON array
  const std::string_view line = text.substr(0, text.find('\n'));
  const bool binary = std::any_of(line.begin(), line.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\r';
  });
  if (binary) return {};
  const auto tabs = std::count(line.begin(), line.end(), '\t');
  const bool numbered = !line.empty() && line[0] >= '0' && line[0] <= '9';
  if ((tabs == 24 || tabs == 22) && numbered) return SourceKind::yfcc100m;
  if (tabs > 0) return SourceKind::tsv;
  if (line.find_first_of(",;") != std::string_view::npos) return SourceKind::csv;
  return {};
}

/// By its content, and where that leaves it open by its extension. `name`: of the file, for
/// messages.
SourceKind kind_of_file(const fs::path& file, const std::string& name) {
  const std::string head = read_head(file, 4096);
  refuse_foreign_list(head, name);
  const bool packed = is_compressed(file);
  const bool tar = head.size() > 262 && head.compare(257, 5, "ustar") == 0;
  const std::string type = extension(packed ? file.stem() : file);
  if ((packed && tar) || extension(file.stem()) == ".tar" || extension(file) == ".tgz") {
    fail_usage("{}: a compressed tar; unpack it, images in it are compressed already", name);
  }
  if (tar || type == ".tar") return SourceKind::webdataset;
  if (head.starts_with(std::string_view("\0\0\x08\x03", 4))) return SourceKind::idx;
  if (type == ".bin") {
    if (const auto kind = cifar_kind(file.parent_path())) return *kind;
  }
  if (type == ".jsonl" || type == ".ndjson") return SourceKind::json_lines;
  const auto kind = kind_of_text(head);
  const bool table = !kind || kind == SourceKind::csv || kind == SourceKind::tsv;
  if (table && type == ".csv") return SourceKind::csv;
  if (table && type == ".tsv") return SourceKind::tsv;
  if (kind) return *kind;
  if (head.empty()) fail_usage("{}: empty, expected images or a list of them", name);
  if (trim(head).starts_with('[')) {
    fail_usage("{}: one JSON array; write an object a line (jq -c '.[]')", name);
  }
  fail_usage("{}: of no known kind; {}, or say what it is by KIND:PATH or --format ({})", name,
             kinds_there_are, fmt::join(source_kind_names.begin(), source_kind_names.end(), ", "));
}

/// What a data set's folder holds of the part asked for.
std::vector<SourceSpec> sources_in(const fs::path& folder, SourceKind kind, bool validation) {
  std::vector<fs::path> files;
  switch (kind) {
    case SourceKind::cifar10:
      files = files_in(folder, [&](const fs::path& file) {
        return file.filename().string().starts_with(validation ? "test_batch" : "data_batch_") &&
               extension(file) == ".bin";
      });
      break;
    case SourceKind::cifar100:
      files = {folder / (validation ? "test.bin" : "train.bin")};
      break;
    case SourceKind::idx:
      files = files_in(folder, [&](const fs::path& file) {
        const std::string name = file.filename().string();
        const bool test = name.starts_with("t10k") || name.find("test") != std::string::npos;
        return is_idx_images(file) && test == validation;
      });
      break;
    case SourceKind::tiny_imagenet:
      files = {folder / (validation ? "val" : "train")};
      break;
    case SourceKind::webdataset:
      files = files_in(folder, [](const fs::path& file) { return extension(file) == ".tar"; });
      break;
    case SourceKind::folder:
      files = {folder};
      break;
    default:
      fail_usage("{}: a folder, but {} is a file's kind; name the files", folder.string(),
                 source_kind_names[static_cast<size_t>(kind)]);
  }
  std::vector<SourceSpec> sources;
  for (auto& file : files) {
    if (fs::exists(file)) sources.push_back({std::move(file), kind});
  }
  if (sources.empty()) {
    fail_usage("{}: no {} of {} in it", folder.string(),
               validation ? "validation part" : "training part",
               source_kind_names[static_cast<size_t>(kind)]);
  }
  return sources;
}

SourceKind kind_of_folder(const fs::path& folder) {
  if (fs::exists(folder / "wnids.txt") && fs::exists(folder / "words.txt")) {
    return SourceKind::tiny_imagenet;
  }
  if (const auto kind = cifar_kind(folder)) return *kind;
  if (!files_in(folder, is_idx_images).empty()) return SourceKind::idx;
  const auto tars =
      files_in(folder, [](const fs::path& file) { return extension(file) == ".tar"; });
  return tars.empty() ? SourceKind::folder : SourceKind::webdataset;
}

/// What img2dataset writes beside its tars and folders, and what belongs to IDX images.
bool is_companion(const fs::path& file) {
  const std::string name = lower_ascii(file.filename().string());
  const bool labels =
      name.find("labels") != std::string::npos && name.find("idx1") != std::string::npos;
  return labels || name.ends_with("_stats.json") || name.ends_with(".parquet");
}

/// Of lists that lie in a folder of images and are not read.
void warn_of_lists(const fs::path& folder) {
  const auto lists = files_in(folder, [](const fs::path& file) {
    const std::string last = extension(file);
    const bool packed = last == ".gz" || last == ".zst" || last == ".bz2";
    const std::string type = packed ? extension(file.stem()) : last;
    return type == ".csv" || type == ".tsv" || type == ".jsonl" || type == ".ndjson";
  });
  if (lists.empty()) return;
  log_warning("{}: lists in it are not read; to take tags from a list, name {}", folder.string(),
              lists[0].string());
}

bool is_list(SourceKind kind) {
  return kind == SourceKind::json_lines || kind == SourceKind::csv || kind == SourceKind::tsv;
}

/// Only what is read once from its beginning can come that way.
SourceKind kind_of_standard_input(std::optional<SourceKind> asked, const fs::path& content) {
  const SourceKind kind = asked ? *asked : kind_of_file(content, "standard input");
  if (!is_list(kind) && kind != SourceKind::yfcc100m) {
    fail_usage("standard input: lists can be read there, {} cannot; name the file",
               source_kind_names[static_cast<size_t>(kind)]);
  }
  return kind;
}

}  // namespace

std::vector<SourceSpec> expand_sources(const std::vector<std::string>& names, bool validation,
                                       const SourceOptions& options,
                                       const fs::path& standard_input) {
  std::vector<SourceSpec> sources;
  std::optional<SourceKind> all;
  if (!options.format.empty()) {
    all = kind_named(options.format);
    if (!all) {
      fail_usage("--format: '{}' is none of {}", options.format,
                 fmt::join(source_kind_names.begin(), source_kind_names.end(), ", "));
    }
  }
  for (const auto& name : names) {
    std::optional<SourceKind> kind = all;
    fs::path path(name);
    const size_t colon = name.find(':');
    if (colon != std::string::npos && kind_named(name.substr(0, colon)) && !fs::exists(path)) {
      kind = kind_named(name.substr(0, colon));
      path = name.substr(colon + 1);
    }
    // "photos/" is the same as "photos".
    if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
    if (path == "-") {
      sources.push_back({path, kind_of_standard_input(kind, standard_input)});
    } else if (!fs::exists(path)) {
      if (colon != std::string::npos && fs::exists(name.substr(colon + 1))) {
        fail_usage("{}: '{}' is no kind of source; there are {}", name, name.substr(0, colon),
                   fmt::join(source_kind_names.begin(), source_kind_names.end(), ", "));
      }
      fail_usage("{}: no such file or folder; {}", name, kinds_there_are);
    } else if (fs::is_directory(path)) {
      if (kind == SourceKind::tiny_imagenet && !fs::exists(path / "wnids.txt")) {
        sources.push_back({path, *kind});  // a part of it
        continue;
      }
      const SourceKind found = kind ? *kind : kind_of_folder(path);
      if (found == SourceKind::folder) warn_of_lists(path);
      for (auto& source : sources_in(path, found, validation)) sources.push_back(std::move(source));
    } else if (kind || !is_companion(path)) {
      sources.push_back({path, kind ? *kind : kind_of_file(path, name)});
    } else if (names.size() == 1) {
      refuse_foreign_list(read_head(path, 4), name);
    }
  }
  return sources;
}

std::vector<fs::path> input_files(const SourceSpec& source, const SourceOptions& options) {
  const fs::path path = fs::absolute(source.path).lexically_normal();
  std::vector<fs::path> files;
  switch (source.kind) {
    case SourceKind::folder:
    case SourceKind::tiny_imagenet:
      for (const auto& image : images_in(path)) files.push_back(path / image);
      if (source.kind == SourceKind::folder) break;
      files.push_back(path.parent_path() / "wnids.txt");
      if (fs::exists(path / "val_annotations.txt")) files.push_back(path / "val_annotations.txt");
      files.push_back(wordnet_nouns(options.wordnet));
      break;
    case SourceKind::idx:
      files = {path, idx_labels_beside(path)};
      break;
    case SourceKind::cifar10:
    case SourceKind::cifar100:
      files = cifar_label_files(path, source.kind == SourceKind::cifar100);
      files.push_back(path);
      break;
    default:
      files = {path};
  }
  return files;
}

fs::path unpacked(const fs::path& file, const fs::path& work) {
  if (!is_compressed(file)) return file;
  fs::path target = work / fmt::format("{}.{}.unpacked", file.stem().string(),
                                       sha256_hex(fs::absolute(file).string()).substr(0, 16));
  if (fs::exists(target)) return target;
  make_writable_folder(work);
  AtomicFile output(target);
  read_unpacked(file, [&](std::string_view piece) {
    output.write(piece);
    return true;
  });
  output.commit();
  return target;
}

std::unique_ptr<Source> open_source(const SourceSpec& source, const SourceOptions& options,
                                    const fs::path& standard_input, const fs::path& work) {
  const bool is_stdin = source.path == "-";
  const fs::path& file = is_stdin ? standard_input : source.path;
  const std::string name = is_stdin ? "standard input" : file.string();
  if (is_list(source.kind)) {
    const fs::path folder = is_stdin ? fs::current_path() : file.parent_path();
    return open_list({unpacked(file, work), name, source.kind, folder}, options);
  }
  switch (source.kind) {
    case SourceKind::folder:
      return open_folder(file, options);
    case SourceKind::yfcc100m:
      return open_yfcc100m(file, name, options, work);
    case SourceKind::cifar10:
    case SourceKind::cifar100:
      return open_cifar(file, source.kind == SourceKind::cifar100);
    case SourceKind::idx:
      return open_idx(unpacked(file, work), file, options, work);
    case SourceKind::tiny_imagenet:
      return open_tiny_imagenet(file, options);
    default:
      return open_webdataset(file, options);
  }
}

}  // namespace hardmoe
