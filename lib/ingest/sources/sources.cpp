// Opens sources, and tells which files they are read from.
#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "ingest/sources/compressed.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/guess.h"
#include "ingest/sources/kinds.h"
#include "ingest/wordnet.h"

namespace hardmoe {
namespace fs = std::filesystem;

std::vector<fs::path> input_files(const SourceSpec& source, const SourceOptions& options) {
  const fs::path path = fs::absolute(source.path).lexically_normal();
  std::vector<fs::path> files;
  switch (source.kind) {
    case SourceKind::folder:
    case SourceKind::photos:
    case SourceKind::tiny_imagenet:
      for (const auto& image : images_in(path)) files.push_back(path / image);
      if (source.kind != SourceKind::tiny_imagenet) break;
      files.push_back(path.parent_path() / "wnids.txt");
      if (path_exists(path / "val_annotations.txt")) files.push_back(path / "val_annotations.txt");
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
  if (path_exists(target)) return target;
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
    case SourceKind::photos:
      return open_photos(file, options);
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
