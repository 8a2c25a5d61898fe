// Photographs with keywords inside their files.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "image/keywords.h"
#include "ingest/sources/folder_walk.h"
#include "ingest/sources/kinds.h"
#include "ingest/sources/tag_column.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

class PhotoSource : public Source {
 public:
  PhotoSource(fs::path folder, const SourceOptions& options)
      : folder_(std::move(folder)),
        options_(options),
        keywords_("keywords", options.tag_separator),
        images_(images_in(folder_, &report_, {"xmp"})) {
    keywords_.decide();
    report_.facts.emplace_back(
        "tags: keywords in the photographs (XMP, IPTC) and in .xmp files beside them");
  }

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  SourceItem item(int64_t number) const override {
    const fs::path& image = images_[static_cast<size_t>(number)];
    SourceItem item;
    item.path = folder_ / image;
    item.file = item.path.string();
    item.key = safe_key((image.parent_path() / image.stem()).string());
    try {
      for (const auto& keyword : photo_keywords(item.path)) add(keyword, item);
    } catch (const Error& error) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = error.what();
    }
    if (item.rejection == Rejection::none && item.tags.empty()) {
      item.detail = "no keywords in its XMP or IPTC, nor in an .xmp file beside it";
    }
    return item;
  }

 private:
  /// Takes each keyword as one tag, unless the user says that it may hold several.
  void add(const std::string& keyword, SourceItem& item) const {
    if (options_.tag_separator.empty()) {
      item.tags.push_back(keyword);
    } else if (std::string why = keywords_.read(keyword, item.tags); !why.empty()) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = std::move(why);
    }
  }

  fs::path folder_;
  SourceOptions options_;
  TagColumn keywords_;
  std::vector<fs::path> images_;
};

}  // namespace

std::unique_ptr<Source> open_photos(const fs::path& folder, const SourceOptions& options) {
  return std::make_unique<PhotoSource>(folder, options);
}

double share_with_keywords(const fs::path& folder, int64_t sample) {
  const auto images = images_in(folder);
  const auto count = std::min(sample, static_cast<int64_t>(images.size()));
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i * static_cast<int64_t>(images.size()) / count);
    const bool described = !text_beside(folder / images[at], ".json").empty() ||
                           !text_beside(folder / images[at], ".txt").empty();
    if (described) continue;
    try {
      found += photo_keywords(folder / images[at]).empty() ? 0 : 1;
    } catch (const Error&) {  // unreadable photos do not count
    }
  }
  return count == 0 ? 0 : static_cast<double>(found) / static_cast<double>(count);
}

}  // namespace hardmoe
