#include "data/source_kinds.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
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
  explicit WebDatasetSource(const fs::path& tar)
      : tar_(fs::absolute(tar).lexically_normal()), map_(tar) {
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
  fs::path tar() const override { return tar_; }

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
    item.offset = sample.image.offset;
    const bool is_json = sample.json.exists();
    const Place metadata = is_json ? sample.json : sample.text;
    if (metadata.exists()) {
      const auto text = bytes_of(metadata);
      read_metadata({reinterpret_cast<const char*>(text.data()), text.size()}, is_json, item);
    } else {
      item.detail = "no .json or .txt beside it";
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

  fs::path tar_;
  MappedFile map_;
  std::vector<Sample> samples_;
};

class ListSource : public Source {
 public:
  ListSource(std::string text, std::string name, fs::path folder)
      : text_(std::move(text)), name_(std::move(name)), folder_(std::move(folder)) {
    int number = 0;
    for (size_t begin = 0; begin < text_.size();) {
      const size_t end = std::min(text_.find('\n', begin), text_.size());
      ++number;
      const auto line = trim(std::string_view(text_).substr(begin, end - begin));
      if (!line.empty()) {
        lines_.push_back({static_cast<size_t>(line.data() - text_.data()), line.size(), number});
      }
      begin = end + 1;
    }
  }

  int64_t size() const override { return static_cast<int64_t>(lines_.size()); }

  SourceItem item(int64_t number) const override {
    const Line& line = lines_[static_cast<size_t>(number)];
    const auto text = std::string_view(text_).substr(line.begin, line.length);
    SourceItem item;
    item.file = fmt::format("{}, line {}", name_, line.number);
    item.key = fmt::format("line-{}", line.number);
    read_metadata(text, /*is_json=*/true, item);
    if (item.rejection != Rejection::none) return item;
    const Json value = Json::parse(text);
    const auto image = value.find("image");
    if (image == value.end() || !image->is_string() ||
        image->get_ref<const std::string&>().empty()) {
      item.rejection = Rejection::no_image;
      item.detail = "no field 'image' with a path";
      return item;
    }
    const fs::path path(image->get<std::string>());
    item.path = folder_ / path;
    const auto key = value.find("key");
    if (key != value.end() && (key->is_string() || key->is_number())) {
      item.key = safe_key(key->is_string() ? key->get<std::string>() : key->dump());
    } else {
      item.key = safe_key((path.parent_path() / path.stem()).string());
    }
    return item;
  }

 private:
  struct Line {
    size_t begin, length;
    int number;
  };
  std::string text_;
  std::string name_;
  fs::path folder_;
  std::vector<Line> lines_;
};

class FolderSource : public Source {
 public:
  explicit FolderSource(fs::path folder)
      : folder_(std::move(folder)), images_(images_in(folder_)) {}

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  SourceItem item(int64_t number) const override {
    const fs::path& image = images_[static_cast<size_t>(number)];
    SourceItem item;
    item.path = folder_ / image;
    item.file = item.path.string();
    item.key = safe_key((image.parent_path() / image.stem()).string());
    for (const auto& part : image.parent_path()) item.tags.push_back(part.string());
    if (item.tags.empty()) item.detail = fmt::format("not in a subfolder of {}", folder_.string());
    return item;
  }

 private:
  fs::path folder_;
  std::vector<fs::path> images_;
};

}  // namespace

std::unique_ptr<Source> open_webdataset(const fs::path& tar) {
  return std::make_unique<WebDatasetSource>(tar);
}

std::unique_ptr<Source> open_list(std::string text, std::string name, fs::path folder) {
  return std::make_unique<ListSource>(std::move(text), std::move(name), std::move(folder));
}

std::unique_ptr<Source> open_folder(const fs::path& folder) {
  return std::make_unique<FolderSource>(folder);
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
