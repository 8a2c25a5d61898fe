#include <unordered_map>

#include "base/error.h"
#include "data/source_kinds.h"
#include "data/tar.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Where a member's bytes are; size -1: there is no such member.
struct Place {
  int64_t offset = 0;
  int64_t size = -1;
  bool exists() const { return size >= 0; }
};

class WebDatasetSource : public Source {
 public:
  WebDatasetSource(const fs::path& tar, const SourceOptions& options)
      : tar_(fs::absolute(tar).lexically_normal()), map_(tar), options_(options) {
    std::unordered_map<std::string, size_t> known;
    std::vector<Sample> repeats;
    for (const auto& entry : index_tar(map_.bytes(), tar.string())) {
      const size_t slash = entry.name.rfind('/');
      const size_t base = slash == std::string::npos ? 0 : slash + 1;
      const size_t dot = entry.name.find('.', base);
      if (dot == std::string::npos || dot == base) continue;  // no extension, or a hidden file
      const std::string type = lower_ascii(entry.name.substr(dot + 1));
      const bool image = is_image_extension(type);
      if (!image && type != "json" && type != "txt") continue;
      const std::string key = entry.name.substr(0, dot);
      if (type == "json" && key.ends_with("_stats")) continue;  // img2dataset's
      const auto [place, added] = known.emplace(key, samples_.size());
      if (added) samples_.push_back({key, {}, {}, {}, Rejection::none});
      const Place member{entry.offset, entry.size};
      Sample& sample = samples_[place->second];
      Place& slot = image ? sample.image : type == "json" ? sample.json : sample.text;
      if (!slot.exists()) {
        slot = member;
      } else {
        repeats.push_back({key, member, {}, {}, Rejection::repeated});
      }
    }
    samples_.insert(samples_.end(), repeats.begin(), repeats.end());
  }

  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  std::vector<fs::path> tars() const override { return {tar_}; }

  SourceItem item(int64_t number) const override {
    const Sample& sample = samples_[static_cast<size_t>(number)];
    SourceItem item;
    // Keys are unique within a tar only: most data sets number each shard's samples from 0.
    item.key = safe_key(fmt::format("{}/{}", tar_.stem().string(), sample.key));
    item.file = tar_.string();
    item.rejection = sample.rejection;
    if (sample.rejection == Rejection::repeated) {
      item.detail = fmt::format("a second member for '{}'", sample.key);
    } else if (!sample.image.exists()) {
      item.rejection = Rejection::no_image;
      item.detail = fmt::format("no .jpg, .png or .webp beside '{}'", sample.key);
    }
    if (item.rejection != Rejection::none) return item;
    item.bytes = bytes_of(sample.image);
    item.tar = tar_;
    item.offset = sample.image.offset;
    if (!sample.json.exists() && !sample.text.exists()) item.detail = "no .json or .txt beside it";
    if (sample.json.exists()) read_json_metadata(text_of(sample.json), options_, item);
    // img2dataset writes what it knows about an image into .json and its caption into .txt.
    if (item.rejection == Rejection::none && item.tags.empty() && sample.text.exists() &&
        options_.columns.tags.empty()) {
      read_tag_text(text_of(sample.text), options_, item);
    }
    return item;
  }

 private:
  struct Sample {
    std::string key;
    Place image, json, text;
    Rejection rejection;
  };

  std::span<const std::byte> bytes_of(const Place& place) const {
    return map_.bytes().subspan(static_cast<size_t>(place.offset), static_cast<size_t>(place.size));
  }

  std::string_view text_of(const Place& place) const {
    const auto bytes = bytes_of(place);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  fs::path tar_;
  MappedFile map_;
  SourceOptions options_;
  std::vector<Sample> samples_;
};

}  // namespace

std::unique_ptr<Source> open_webdataset(const fs::path& tar, const SourceOptions& options) {
  return std::make_unique<WebDatasetSource>(tar, options);
}

}  // namespace hardmoe
