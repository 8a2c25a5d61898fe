#include "ingest/sources/folder_walk.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/printable.h"
#include "base/signals.h"
#include "image/codec.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns whether a file describes an image beside it; it is not examined as an image.
bool is_text_kind(std::string_view extension) {
  return extension == "json" || extension == "txt" || extension == "xmp" || extension == "cls";
}

std::string extension_of_file(const fs::path& path) {
  const std::string extension = lower_ascii(path.extension().string());
  return extension.empty() ? extension : extension.substr(1);
}

class Walk {
 public:
  Walk(const fs::path& root, SourceReport* report) : root_(root), report_(report) {}

  std::vector<fs::path> run() {
    visit({});
    std::sort(files_.begin(), files_.end());
    return std::move(files_);
  }

 private:
  // Without this, folders that link to one another would be read without end.
  static constexpr int most_visits = 16;

  void pass_over(const std::string& kind, const fs::path& example) {
    if (report_ != nullptr) report_->pass_over(kind, printable(example.string()));
  }

  void visit(const fs::path& folder) {
    throw_if_interrupted();
    const auto found = path_identity(root_ / folder);
    if (!found) return;
    const PathIdentity id = *found;
    if (std::find(above_.begin(), above_.end(), id) != above_.end()) {
      pass_over("link back to a folder it is in", folder);
      return;
    }
    if (++visits_[id] > most_visits) {
      pass_over("folder linked to many times", folder);
      return;
    }
    above_.push_back(id);
    try {
      visit_folder(root_ / folder, [&](const FolderEntry& entry) {
        take(folder / entry.path().filename(), entry.kind());
      });
    } catch (const Error& error) {
      if (error.status() == ExitStatus::interrupted) throw;
      pass_over("folder that cannot be read", folder);
      if (report_ != nullptr) report_->warnings.push_back(printable(error.what()));
    }
    above_.pop_back();
  }

  void take(const fs::path& path, PathKind kind) {
    if (path.filename().string().starts_with('.')) {
      pass_over(kind == PathKind::folder ? "hidden folder" : "hidden file", path);
    } else if (kind == PathKind::folder) {
      visit(path);
    } else if (kind == PathKind::other) {
      pass_over("device, pipe or socket", path);
    } else {
      files_.push_back(path);
    }
  }

  const fs::path& root_;
  SourceReport* report_;
  std::vector<PathIdentity> above_;
  std::map<PathIdentity, int> visits_;
  std::vector<fs::path> files_;
};

/// Counts texts without an image beside them.
void count_lone_texts(const std::vector<fs::path>& texts, const std::vector<fs::path>& images,
                      SourceReport& report) {
  if (texts.empty()) return;
  std::unordered_set<std::string> names;
  for (const fs::path& image : images) {
    names.insert(image.string());
    names.insert(fs::path(image).replace_extension().string());
  }
  for (const fs::path& text : texts) {
    if (names.contains(fs::path(text).replace_extension().string())) continue;
    report.pass_over(fmt::format("'.{}' file without an image", extension_of_file(text)),
                     printable(text.string()));
  }
}

}  // namespace

std::vector<fs::path> files_below(const fs::path& folder, SourceReport* report) {
  return Walk(folder, report).run();
}

std::vector<fs::path> images_in(const fs::path& folder, SourceReport* report,
                                const std::vector<std::string>& companions) {
  std::vector<fs::path> images, texts;
  for (fs::path& file : files_below(folder, report)) {
    const std::string extension = extension_of_file(file);
    // A broken link is listed, so that it is reported as unreadable.
    if (is_image_extension(extension) || (!is_text_kind(extension) && holds_image(folder / file))) {
      images.push_back(std::move(file));
    } else if (report == nullptr) {
      continue;
    } else if (!path_exists(folder / file)) {
      report->pass_over("link to nothing", printable(file.string()));
    } else if (std::find(companions.begin(), companions.end(), extension) != companions.end()) {
      texts.push_back(std::move(file));
    } else {
      report->pass_over(kind_of_other_file(file.filename().string()), printable(file.string()));
    }
  }
  if (report != nullptr) count_lone_texts(texts, images, *report);
  return images;
}

fs::path text_beside(const fs::path& image, const char* extension) {
  for (fs::path file :
       {fs::path(image).replace_extension(extension), fs::path(image.string() + extension)}) {
    if (path_kind(file) == PathKind::file) return file;  // pipes and devices are no texts
  }
  return {};
}

bool holds_image(const fs::path& file) {
  const std::string head = read_piece(file, 0, 256);
  return !head.empty() && !known_image_format(std::as_bytes(std::span(head))).empty();
}

std::vector<fs::path> subfolders_of(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::vector<FolderEntry> entries;
  try {
    entries = list_folder(folder);
  } catch (const Error&) {
    return folders;  // whoever reads it says why it cannot be read
  }
  for (const FolderEntry& entry : entries) {
    if (entry.name().starts_with('.')) continue;
    if (entry.kind() == PathKind::folder) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace hardmoe
