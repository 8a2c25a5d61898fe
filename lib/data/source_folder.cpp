#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/source_kinds.h"
#include "data/wordnet.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

class FolderSource : public Source {
 public:
  FolderSource(fs::path folder, const SourceOptions& options)
      : folder_(std::move(folder)), options_(options), images_(images_in(folder_)) {}

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  SourceItem item(int64_t number) const override {
    const fs::path& image = images_[static_cast<size_t>(number)];
    SourceItem item;
    item.path = folder_ / image;
    item.file = item.path.string();
    item.key = safe_key((image.parent_path() / image.stem()).string());
    const fs::path json = fs::path(item.path).replace_extension(".json");
    const fs::path text = fs::path(item.path).replace_extension(".txt");
    const bool has_json = fs::exists(json);
    const bool has_text = options_.columns.tags.empty() && fs::exists(text);
    if (has_json) read_json_metadata(read_file(json), options_, item);
    if (has_text && item.rejection == Rejection::none && item.tags.empty()) {
      read_tag_text(read_file(text), options_, item);
    }
    if (has_json || has_text) return item;
    for (const auto& part : image.parent_path()) item.tags.push_back(part.string());
    if (item.tags.empty()) {
      item.detail = fmt::format(
          "not in a subfolder of {}, whose name would be its tag, and no {} or {} beside it; where "
          "tags do not matter, any subfolder will do",
          folder_.string(), json.filename().string(), text.filename().string());
    }
    return item;
  }

 private:
  fs::path folder_;
  SourceOptions options_;
  std::vector<fs::path> images_;
};

/// Images of Tiny ImageNet's training or validation part, tagged with the words of their synset and
/// with one word for each synset above it.
class TinyImageNetSource : public Source {
 public:
  TinyImageNetSource(fs::path part, const SourceOptions& options)
      : part_(std::move(part)), images_(images_in(part_)) {
    const WordNet wordnet(options.wordnet);
    const fs::path root = part_.parent_path();
    for (const auto& line : read_label_names(root / "wnids.txt")) {
      names_.emplace(line, wordnet.tags_of(line));
    }
    const fs::path annotations = part_ / "val_annotations.txt";
    if (!fs::exists(annotations)) return;  // in training, the synset is the folder's name
    const RecordFile lines(annotations, RecordForm::line);
    for (int64_t i = 0; i < lines.size(); ++i) {
      const auto fields = split(lines.record(i).text, '\t');
      if (fields.size() < 2) {
        fail("{}, line {}: expected an image and a synset", annotations.string(),
             lines.record(i).line);
      }
      synsets_.emplace(fields[0], fields[1]);
    }
  }

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  SourceItem item(int64_t number) const override {
    const fs::path& image = images_[static_cast<size_t>(number)];
    SourceItem item;
    item.path = part_ / image;
    item.file = item.path.string();
    item.key = safe_key(fmt::format("{}/{}", part_.filename().string(), image.stem().string()));
    const auto annotated = synsets_.find(image.filename().string());
    const std::string synset =
        annotated != synsets_.end() ? annotated->second : image.begin()->string();
    if (const auto tags = names_.find(synset); tags != names_.end()) {
      item.tags = tags->second;
    } else {
      item.detail = fmt::format("'{}' is not in wnids.txt", synset);
    }
    return item;
  }

 private:
  fs::path part_;
  std::vector<fs::path> images_;
  std::unordered_map<std::string, std::vector<std::string>> names_;
  std::unordered_map<std::string, std::string> synsets_;  ///< by image, in validation
};

}  // namespace

std::unique_ptr<Source> open_folder(const fs::path& folder, const SourceOptions& options) {
  return std::make_unique<FolderSource>(folder, options);
}

std::unique_ptr<Source> open_tiny_imagenet(const fs::path& part, const SourceOptions& options) {
  return std::make_unique<TinyImageNetSource>(part, options);
}

std::vector<fs::path> images_in(const fs::path& folder) {
  std::vector<fs::path> images;
  using Walk = fs::recursive_directory_iterator;
  for (auto entry = Walk(folder, fs::directory_options::skip_permission_denied); entry != Walk();
       ++entry) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;  // a dangling link is neither file nor folder
    if (name.starts_with('.')) {
      if (entry->is_directory(ignored)) entry.disable_recursion_pending();
      continue;
    }
    const std::string extension = lower_ascii(entry->path().extension().string());
    if (extension.size() > 1 && is_image_extension(extension.substr(1)) &&
        entry->is_regular_file(ignored)) {
      images.push_back(entry->path().lexically_relative(folder));
    }
  }
  std::sort(images.begin(), images.end());
  return images;
}

}  // namespace hardmoe
