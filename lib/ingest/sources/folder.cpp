#include <map>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/kinds.h"
#include "ingest/sources/split_layout.h"
#include "ingest/wordnet.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

class FolderSource : public Source {
 public:
  FolderSource(fs::path folder, const SourceOptions& options)
      : folder_(std::move(folder)),
        options_(options),
        reader_(options),
        images_(images_in(folder_, &report_, {"json", "txt"})) {
    if (!options.label_names.empty()) label_names_ = read_label_names(options.label_names);
    report_.facts.push_back(fmt::format(
        "{} images; tags: the .json or .txt beside an image, else the names of its folders",
        images_.size()));
    refuse_splits();
    look_at_tags();
  }

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  SourceItem item(int64_t number) const override {
    const fs::path& image = images_[static_cast<size_t>(number)];
    SourceItem item;
    item.path = folder_ / image;
    item.file = item.path.string();
    item.key = safe_key((image.parent_path() / image.stem()).string());
    const fs::path json = text_beside(item.path, ".json");
    const fs::path text =
        options_.columns.tags.empty() ? text_beside(item.path, ".txt") : fs::path();
    if (!json.empty()) reader_.read_json(read_file(json), item);
    if (!text.empty() && item.rejection == Rejection::none && item.tags.empty()) {
      reader_.read_text(read_file(text), item);
    }
    if (item.rejection == Rejection::none) name_labels(label_names_, item);
    if (json.empty() && text.empty()) take_folders(image, item);
    return item;
  }

 private:
  void take_folders(const fs::path& image, SourceItem& item) const {
    for (const auto& name : image.parent_path()) {
      if (!require_utf8(name.string(), item)) {
        item.detail = fmt::format("the name of folder '{}' is not UTF-8; rename it (convmv)",
                                  printable(name.string()));
        return;
      }
      item.tags.push_back(name.string());
    }
    if (!item.tags.empty()) return;
    const std::string stem = image.stem().string();
    item.detail = fmt::format(
        "not in a subfolder of {}, whose name would be its tag, and no {}.json or {}.txt beside "
        "it; where tags do not matter, any subfolder will do",
        folder_.string(), stem, stem);
  }

  /// Learns from a sample how texts hold tags, which is the same in the whole folder.
  void look_at_tags() {
    constexpr size_t most = 1000;
    const size_t step = images_.size() / most + 1;
    for (size_t i = 0; i < images_.size(); i += step) {
      const fs::path json = text_beside(folder_ / images_[i], ".json");
      const fs::path text = text_beside(folder_ / images_[i], ".txt");
      if (!json.empty()) reader_.look_at_json(read_file(json));
      if (!text.empty()) reader_.look_at_text(read_file(text));
    }
    reader_.decide(report_);
  }

  /// Returns the folders' names as tags; "train" and "val" are none, at any depth.
  void refuse_splits() const {
    struct Pair {
      fs::path train, other;
    };
    // Combine the folder's name with what else is in their names.
    std::map<std::pair<fs::path, std::string>, Pair> pairs;
    std::set<fs::path> seen;
    for (const fs::path& image : images_) {
      for (fs::path at = image.parent_path(); !at.empty() && seen.insert(at).second;
           at = at.parent_path()) {
        const auto [split, rest] = split_in_name(at.filename().string());
        if (split.empty()) continue;
        Pair& pair = pairs[{at.parent_path(), rest}];
        (split == "train" ? pair.train : pair.other) = at;
        if (pair.train.empty() || pair.other.empty()) continue;
        fail_usage(
            "{}: holds '{}' and '{}', which are splits and no tags; name the one as SOURCE and the "
            "other as --val-source",
            folder_.string(), pair.train.string(), pair.other.string());
      }
    }
  }

  fs::path folder_;
  SourceOptions options_;
  MetadataReader reader_;
  std::vector<fs::path> images_;
  std::vector<std::string> label_names_;
};

/// Images of Tiny ImageNet's training or validation split, tagged with the words of their synset
/// and one word for each synset above it.
class TinyImageNetSource : public Source {
 public:
  TinyImageNetSource(fs::path split_folder, const SourceOptions& options)
      : split_folder_(std::move(split_folder)), images_(images_in(split_folder_, &report_)) {
    report_.passed_over.erase("'.txt' file");  // its boxes and annotations
    const WordNet wordnet(options.wordnet);
    const fs::path root = split_folder_.parent_path();
    for (const auto& line : read_label_names(root / "wnids.txt")) {
      names_.emplace(line, wordnet.tags_of(line));
    }
    const fs::path annotations = split_folder_ / "val_annotations.txt";
    if (!path_exists(annotations)) return;  // in training, the folder's name is the synset
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
    item.path = split_folder_ / image;
    item.file = item.path.string();
    item.key =
        safe_key(fmt::format("{}/{}", split_folder_.filename().string(), image.stem().string()));
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
  fs::path split_folder_;
  std::vector<fs::path> images_;
  std::unordered_map<std::string, std::vector<std::string>> names_;
  std::unordered_map<std::string, std::string> synsets_;  ///< by image; validation only
};

}  // namespace

std::unique_ptr<Source> open_folder(const fs::path& folder, const SourceOptions& options) {
  return std::make_unique<FolderSource>(folder, options);
}

std::unique_ptr<Source> open_tiny_imagenet(const fs::path& split_folder,
                                           const SourceOptions& options) {
  return std::make_unique<TinyImageNetSource>(split_folder, options);
}

}  // namespace hardmoe
