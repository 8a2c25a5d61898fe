#include "ingest/sources/folder_walk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/signals.h"
#include "image/codec.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

using FolderId = std::pair<dev_t, ino_t>;

/// Extensions of files that describe an image beside them; they are not examined as images.
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
    struct stat info = {};
    if (::stat((root_ / folder).c_str(), &info) != 0) return;
    const FolderId id{info.st_dev, info.st_ino};
    if (std::find(above_.begin(), above_.end(), id) != above_.end()) {
      pass_over("link back to a folder it is in", folder);
      return;
    }
    if (++visits_[id] > most_visits) {
      pass_over("folder linked to many times", folder);
      return;
    }
    std::error_code error;
    fs::directory_iterator entries(root_ / folder, error);
    if (error) {
      pass_over("folder that cannot be read", folder);
      if (report_ != nullptr) {
        report_->warnings.push_back(
            fmt::format("{}: {}", printable((root_ / folder).string()), error.message()));
      }
      return;
    }
    above_.push_back(id);
    for (const auto& entry : entries) take(folder / entry.path().filename(), entry);
    above_.pop_back();
  }

  void take(const fs::path& path, const fs::directory_entry& entry) {
    std::error_code error;
    const fs::file_status status = entry.status(error);
    if (path.filename().string().starts_with('.')) {
      pass_over(fs::is_directory(status) ? "hidden folder" : "hidden file", path);
    } else if (fs::is_directory(status)) {
      visit(path);
    } else if (fs::exists(status) && !fs::is_regular_file(status)) {
      pass_over("device, pipe or socket", path);
    } else {
      files_.push_back(path);
    }
  }

  const fs::path& root_;
  SourceReport* report_;
  std::vector<FolderId> above_;
  std::map<FolderId, int> visits_;
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
    } else if (!fs::exists(folder / file)) {
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
    std::error_code ignored;  // pipes and devices are no texts
    if (fs::is_regular_file(file, ignored)) return file;
  }
  return {};
}

bool holds_image(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return false;
  std::array<std::byte, 256> head;
  const ssize_t size = ::read(descriptor, head.data(), head.size());
  ::close(descriptor);
  return size > 0 && !known_image_format(std::span(head).first(static_cast<size_t>(size))).empty();
}

std::vector<fs::path> subfolders_of(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;  // a broken link is no folder
    if (entry.path().filename().string().starts_with('.')) continue;
    if (entry.is_directory(ignored)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace hardmoe
