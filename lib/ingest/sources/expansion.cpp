// Finds the source, or several, that a name on the command line means.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/guess.h"
#include "ingest/sources/kinds.h"
#include "ingest/sources/split_layout.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

std::vector<fs::path> files_in(const fs::path& folder, const auto& wanted) {
  std::vector<fs::path> files;
  for (const FolderEntry& entry : list_folder(folder)) {
    if (wanted(entry.path()) && entry.kind() == PathKind::file) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string kind_name(SourceKind kind) {
  return std::string(source_kind_names[static_cast<size_t>(kind)]);
}

/// Expands names one after the other.
class Expansion {
 public:
  Expansion(bool validation, const SourceOptions& options, const fs::path& standard_input)
      : validation_(validation), standard_input_(standard_input) {
    if (options.format.empty()) return;
    all_ = source_kind_named(options.format);
    if (!all_) fail_usage("--format: '{}' is none of {}", options.format, all_source_kinds());
  }

  void add(const std::string& name) {
    std::optional<SourceKind> kind = all_;
    fs::path path(name);
    const size_t colon = name.find(':');
    if (colon != std::string::npos && source_kind_named(name.substr(0, colon)) &&
        !path_exists(path)) {
      kind = source_kind_named(name.substr(0, colon));
      path = name.substr(colon + 1);
    }
    // "photos/" is the same as "photos".
    if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
    if (path == "-") {
      found_.sources.push_back({path, kind_of_standard_input(kind)});
    } else if (!path_exists(path)) {
      if (colon != std::string::npos && path_exists(name.substr(colon + 1))) {
        fail_usage("{}: '{}' is no kind of source; there are {}", name, name.substr(0, colon),
                   all_source_kinds());
      }
      fail_usage("{}: no such file or folder; {}", name, sources_there_are);
    } else if (is_folder(path)) {
      add_folder(path, kind);
    } else if (kind || !is_companion(path)) {
      found_.sources.push_back({path, kind ? *kind : kind_of_file(path, name)});
    }
  }

  FoundSources take() { return std::move(found_); }

 private:
  /// Refuses kinds that cannot be read once from beginning to end.
  SourceKind kind_of_standard_input(std::optional<SourceKind> asked) const {
    const SourceKind kind = asked ? *asked : kind_of_file(standard_input_, "standard input");
    if (!is_list(kind) && kind != SourceKind::yfcc100m) {
      fail_usage("standard input: lists can be read there, {} cannot; name the file",
                 kind_name(kind));
    }
    return kind;
  }

  void add_folder(const fs::path& folder, std::optional<SourceKind> kind) {
    if (kind == SourceKind::tiny_imagenet && !path_exists(folder / "wnids.txt")) {
      found_.sources.push_back({folder, *kind});  // only a split of it
      return;
    }
    const bool may_have_splits = kind == SourceKind::folder || kind == SourceKind::photos ||
                                 kind == SourceKind::webdataset ||
                                 (!kind && !path_exists(folder / "wnids.txt"));
    if (may_have_splits) {
      if (const auto splits = splits_in_subfolders(folder)) {
        add_splits(folder, *splits, kind);
        return;
      }
    }
    const SourceKind found = kind ? *kind : photos_or(kind_of_folder(folder), folder);
    switch (found) {
      case SourceKind::webdataset:
        add_tars(folder);
        break;
      case SourceKind::folder:
      case SourceKind::photos:
        warn_of_containers(folder);
        found_.sources.push_back({folder, found});
        break;
      default:
        add_data_set(folder, found);
    }
  }

  /// Returns whether the folder holds photographs with keywords, so that folders' names are no
  /// tags.
  SourceKind photos_or(SourceKind kind, const fs::path& folder) {
    if (kind != SourceKind::folder) return kind;
    constexpr int64_t sample = 64;
    constexpr double most = 0.5, some = 0.05;
    const double share = share_with_keywords(folder, sample);
    if (share < some) return kind;
    if (share >= most) {
      log_info(
          "{0}: photographs there hold keywords, which become their tags (folder:{0} takes the "
          "names of folders instead)",
          folder.string());
      return SourceKind::photos;
    }
    found_.report.warnings.push_back(
        fmt::format("{0}: tags are the names of folders; some photographs there hold keywords "
                    "({1:.0f} of 100 looked at), which photos:{0} reads",
                    folder.string(), 100 * share));
    return kind;
  }

  /// Expands the subfolder of the split asked for as if it had been named. For training, validation
  /// is found too.
  void add_splits(const fs::path& folder, const SplitLayout& splits,
                  std::optional<SourceKind> kind) {
    if (validation_ && splits.val.empty()) {
      fail_usage("{}: holds {} and no split to evaluate on", folder.string(),
                 splits.train[0].filename().string());
    }
    if (!validation_ && splits.train.empty()) {
      fail_usage("{0}: holds {1} and no split to train on; to train on it, name {2}",
                 folder.string(), splits.val[0].filename().string(), splits.val[0].string());
    }
    for (const fs::path& split : validation_ ? splits.val : splits.train) {
      add_folder_as(split, kind, found_.sources);
    }
    if (validation_) return;
    for (const fs::path& split : splits.val) add_folder_as(split, kind, found_.found_val);
    for (const fs::path& other : splits.others) leave(other);
    for (const fs::path& file : files_in(folder, [](const fs::path&) { return true; })) {
      if (!is_companion(file)) {
        found_.report.pass_over(kind_of_other_file(file.filename().string()),
                                printable(file.string()));
      }
    }
  }

  void add_folder_as(const fs::path& split, std::optional<SourceKind> kind,
                     std::vector<SourceSpec>& to) {
    std::vector<SourceSpec> before;
    std::swap(before, found_.sources);
    const bool inside = std::exchange(validation_, false);
    add_folder(split, kind);
    validation_ = inside;
    std::swap(before, found_.sources);
    std::move(before.begin(), before.end(), std::back_inserter(to));
  }

  /// Reports a folder beside splits that is none itself.
  void leave(const fs::path& folder) {
    const auto images = images_in(folder);
    const auto tars = tars_in(folder);
    if (images.empty() && tars.empty()) return;
    const std::string what = fmt::format("image or tar in '{}', neither train nor val",
                                         printable(folder.filename().string()));
    for (const auto* files : {&images, &tars}) {
      for (const fs::path& file : *files) found_.report.pass_over(what, printable(file.string()));
    }
    found_.report.warnings.push_back(
        fmt::format("{}: not read, as it is neither the train nor the val beside it ({} images, {} "
                    "tars); name it where it is wanted",
                    printable(folder.string()), images.size(), tars.size()));
  }

  void add_tars(const fs::path& folder) {
    auto tars = tars_in(folder, &found_.report);
    const auto splits = splits_of_tars(tars);
    if (splits) tars = validation_ ? splits->val : splits->train;
    if (tars.empty()) fail_usage("{}: no tar in it", folder.string());
    for (const fs::path& tar : tars) {
      found_.sources.push_back({tar, SourceKind::webdataset});
    }
    if (!splits || validation_) return;
    for (const fs::path& tar : splits->val) {
      found_.found_val.push_back({tar, SourceKind::webdataset});
    }
    for (const fs::path& tar : splits->others) {
      found_.report.pass_over("tar of another split", printable(tar.string()));
    }
    if (splits->others.empty()) return;
    found_.report.warnings.push_back(
        fmt::format("{}: {} tars of the split test are not read ({} …)", folder.string(),
                    splits->others.size(), splits->others[0].filename().string()));
  }

  /// Expands a known data set's folder to the files of the split asked for.
  void add_data_set(const fs::path& folder, SourceKind kind) {
    std::vector<fs::path> paths;
    switch (kind) {
      case SourceKind::cifar10:
        paths = files_in(folder, [&](const fs::path& file) {
          const std::string name = file.filename().string();
          return name.starts_with(validation_ ? "test_batch" : "data_batch_") &&
                 name.ends_with(".bin");
        });
        break;
      case SourceKind::cifar100:
        paths = {folder / (validation_ ? "test.bin" : "train.bin")};
        break;
      case SourceKind::idx:
        paths = files_in(folder, [&](const fs::path& file) {
          const std::string name = file.filename().string();
          const bool test = name.starts_with("t10k") || name.find("test") != std::string::npos;
          return is_idx_images(file) && test == validation_;
        });
        break;
      case SourceKind::tiny_imagenet:
        paths = {folder / (validation_ ? "val" : "train")};
        break;
      default:
        fail_usage("{}: a folder, but {} is a file's kind; name the files", folder.string(),
                   kind_name(kind));
    }
    const size_t before = found_.sources.size();
    for (auto& path : paths) {
      if (path_exists(path)) found_.sources.push_back({std::move(path), kind});
    }
    if (found_.sources.size() == before) {
      fail_usage("{}: no {} of {} in it", folder.string(),
                 validation_ ? "validation split" : "training split", kind_name(kind));
    }
    count_others(folder, kind);
  }

  /// Reports files beside those of a known data set.
  void count_others(const fs::path& folder, SourceKind kind) {
    if (validation_) return;  // the training split is in the same folder and reports them
    for (const fs::path& file : files_in(folder, [](const fs::path&) { return true; })) {
      const std::string name = file.filename().string();
      const bool cifar = kind == SourceKind::cifar10 || kind == SourceKind::cifar100;
      const bool known = kind == SourceKind::idx ? is_idx_images(file) || is_companion(file)
                         : cifar                 ? name.ends_with(".bin") || name.ends_with(".txt")
                                                 : name.ends_with(".txt");
      if (!known) found_.report.pass_over(kind_of_other_file(name), printable(file.string()));
    }
    if (kind != SourceKind::tiny_imagenet) return;
    for (const fs::path& other : subfolders_of(folder)) {  // the test split has no labels
      if (other.filename() != "train" && other.filename() != "val") leave(other);
    }
  }

  /// Warns of lists and archives in a folder of images that are not read.
  void warn_of_containers(const fs::path& folder) {
    const auto ends = [](const fs::path& file, const auto&... endings) {
      const std::string name = lower_ascii(file.filename().string());
      return (name.ends_with(endings) || ...);
    };
    const auto lists = files_in(folder, [&](const fs::path& file) {
      const std::string last = lower_ascii(file.extension().string());
      const bool packed = last == ".gz" || last == ".zst" || last == ".bz2";
      return ends(packed ? file.stem() : file, ".csv", ".tsv", ".jsonl", ".ndjson");
    });
    if (!lists.empty()) {
      found_.report.warnings.push_back(
          fmt::format("{}: lists in it are not read; to take tags from a list, name {}",
                      folder.string(), lists[0].string()));
    }
    const auto archives = files_in(folder, [&](const fs::path& file) {
      return is_compressed_tar(file) ||
             ends(file, ".tar", ".zip", ".rar", ".7z", ".parquet", ".h5", ".hdf5", ".npz");
    });
    if (archives.empty()) return;
    found_.report.warnings.push_back(
        fmt::format("{}: archives in it are not read ({} of them, {} …); name them, or unpack them",
                    folder.string(), archives.size(), archives[0].filename().string()));
  }

  bool validation_;
  const fs::path& standard_input_;
  std::optional<SourceKind> all_;
  FoundSources found_;
};

}  // namespace

FoundSources expand_sources(const std::vector<std::string>& names, bool validation,
                            const SourceOptions& options, const fs::path& standard_input) {
  Expansion expansion(validation, options, standard_input);
  for (const auto& name : names) expansion.add(name);
  return expansion.take();
}

}  // namespace hardmoe
