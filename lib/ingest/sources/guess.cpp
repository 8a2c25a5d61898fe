#include "ingest/sources/guess.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/printable.h"
#include "base/text.h"
#include "data/tar.h"
#include "ingest/sources/compressed.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;

const char* const sources_there_are =
    "name tars, lists of images (JSON lines, CSV, TSV), folders, the files of a known data set, or "
    "'-'";

namespace {

std::string extension(const fs::path& path) { return lower_ascii(path.extension().string()); }

std::optional<SourceKind> cifar_kind(const fs::path& folder) {
  if (path_exists(folder / "batches.meta.txt")) return SourceKind::cifar10;
  if (path_exists(folder / "fine_label_names.txt")) return SourceKind::cifar100;
  return {};
}

/// Returns the kind by what the file begins with, or nothing.
std::optional<SourceKind> kind_of_text(std::string_view head) {
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  const std::string_view text = trim(head);
  if (text.starts_with('{')) return SourceKind::json_lines;
  if (text.starts_with('[')) return {};  // a single JSON array
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

/// Returns what to do about files that hold images in a form that is not read.
void refuse_container(const fs::path& file, const std::string& name, std::string_view head) {
  if (is_compressed_tar(file)) {
    fail_usage("{}: a compressed tar; unpack it, images in it are compressed already", name);
  }
  refuse_foreign_list(head, name);
  if (head.starts_with("PK\x03\x04")) fail_usage("{}: a zip archive; unpack it", name);
  if (head.starts_with("\x89HDF\r\n")) {
    fail_usage("{}: an HDF5 file; write its images as files or WebDataset tars", name);
  }
  if (head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    fail_usage(
        "{}: a Python pickle, which can run programs when it is opened; of CIFAR take the binary "
        "version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz)",
        name);
  }
}

}  // namespace

std::string all_source_kinds() {
  return fmt::format("{}", fmt::join(source_kind_names.begin(), source_kind_names.end(), ", "));
}

std::optional<SourceKind> source_kind_named(std::string_view name) {
  for (size_t kind = 0; kind < source_kind_names.size(); ++kind) {
    if (name == source_kind_names[kind]) return static_cast<SourceKind>(kind);
  }
  return {};
}

bool is_list(SourceKind kind) {
  return kind == SourceKind::json_lines || kind == SourceKind::csv || kind == SourceKind::tsv;
}

bool is_compressed_tar(const fs::path& file) {
  const std::string name = lower_ascii(file.filename().string());
  for (const char* ending : {".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.zst", ".tar.xz", ".txz",
                             ".tar.lz4", ".tar.z"}) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

bool is_idx_images(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.find("images") != std::string::npos && name.find("idx3") != std::string::npos;
}

bool is_companion(const fs::path& file) {
  const std::string name = lower_ascii(file.filename().string());
  const bool labels =
      name.find("labels") != std::string::npos && name.find("idx1") != std::string::npos;
  if (labels || name.ends_with("_stats.json")) return true;
  if (!name.ends_with(".parquet")) return false;
  fs::path shard = file;
  return path_exists(shard.replace_extension()) || path_exists(shard.replace_extension(".tar"));
}

SourceKind kind_of_file(const fs::path& file, const std::string& name) {
  if (path_kind(file) != PathKind::file) {
    fail_usage(
        "{}: neither a file nor a folder (a device, pipe or socket); lists can be read from "
        "standard input ('-')",
        name);
  }
  refuse_container(file, name, {});
  const std::string head = read_head(file, 4096);
  const bool packed = is_compressed(file);
  const bool tar = begins_as_tar(head) || (head.size() > 262 && head.compare(257, 5, "ustar") == 0);
  if (packed && tar) {
    fail_usage("{}: a compressed tar; unpack it, images in it are compressed already", name);
  }
  const std::string type = extension(packed ? file.stem() : file);
  if (tar || type == ".tar") return SourceKind::webdataset;
  refuse_container(file, name, head);
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
  if (holds_image(file)) {
    fail_usage("{}: an image; name the folder it is in, or a list that names it", name);
  }
  fail_usage("{}: of no known kind; {}, or say what it is by KIND:PATH or --format ({})", name,
             sources_there_are, all_source_kinds());
}

SourceKind kind_of_folder(const fs::path& folder) {
  if (path_exists(folder / "wnids.txt") && path_exists(folder / "words.txt")) {
    return SourceKind::tiny_imagenet;
  }
  if (const auto kind = cifar_kind(folder)) return *kind;
  if (path_exists(folder / "batches.meta") ||
      (path_exists(folder / "meta") && path_exists(folder / "train"))) {
    if (is_file(folder / "data_batch_1") || is_file(folder / "train")) {
      fail_usage(
          "{}: the Python version of CIFAR (pickles, which can run programs when they are opened); "
          "take the binary version: cifar-10-binary.tar.gz or cifar-100-binary.tar.gz",
          folder.string());
    }
  }
  for (const FolderEntry& entry : list_folder(folder)) {
    if (is_idx_images(entry.path())) return SourceKind::idx;
  }
  const auto tars = tars_in(folder);
  if (tars.empty()) return SourceKind::folder;
  const auto images = images_in(folder);
  if (images.empty()) return SourceKind::webdataset;
  fail_usage(
      "{0}: holds {1} tars ({2} …) and {3} images as files ({4} …); say which to read: "
      "webdataset:{0} or folder:{0}",
      folder.string(), tars.size(), tars[0].lexically_relative(folder).string(), images.size(),
      images[0].string());
}

std::vector<fs::path> tars_in(const fs::path& folder, SourceReport* report) {
  std::vector<fs::path> tars;
  bool compressed = false;
  const auto pass_over = [&](const std::string& kind, const fs::path& file) {
    if (report != nullptr) report->pass_over(kind, printable(file.string()));
  };
  for (const fs::path& below : files_below(folder, report)) {
    const fs::path file = folder / below;
    if (extension(file) == ".tar") {
      // A missing shard is reported before hours of work without it.
      if (!path_exists(file)) {
        fail_usage("{}: a link to nothing, expected a tar; put it there, or remove the link",
                   file.string());
      }
      tars.push_back(file);
    } else if (is_compressed_tar(file)) {
      compressed = true;
      pass_over("compressed tar", file);
    } else if (!is_companion(file)) {
      pass_over(kind_of_other_file(file.filename().string()), file);
    }
  }
  if (compressed && report != nullptr) {
    report->warnings.push_back(fmt::format(
        "{}: compressed tars in it are not read; unpack them, images are compressed already",
        folder.string()));
  }
  return tars;
}

}  // namespace hardmoe
