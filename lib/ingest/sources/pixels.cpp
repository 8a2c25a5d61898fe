// Data sets whose files hold bare pixels: CIFAR's binary version and MNIST's IDX.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/folders.h"
#include "base/text.h"
#include "image/codec.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// A record is a label (CIFAR-100: a coarse and a fine one), then 32×32 bytes each of red, green
/// and blue (https://www.cs.toronto.edu/~kriz/cifar.html).
class CifarSource : public Source {
 public:
  static constexpr int64_t side = 32;
  static constexpr size_t plane = side * side;

  CifarSource(const fs::path& file, bool coarse)
      : file_(file), map_(file), labels_(coarse ? 2 : 1) {
    for (const auto& names : cifar_label_files(file, coarse)) {
      names_.push_back(read_label_names(names));
    }
    if (map_.bytes().size() % record_bytes() != 0 || map_.bytes().empty()) {
      fail(
          "{}: {} bytes, expected a multiple of {}; it is truncated or not CIFAR-{}'s binary "
          "version",
          file.string(), map_.bytes().size(), record_bytes(), coarse ? 100 : 10);
    }
  }

  int64_t size() const override {
    return static_cast<int64_t>(map_.bytes().size() / record_bytes());
  }

  SourceItem item(int64_t number) const override {
    const auto record =
        map_.bytes().subspan(static_cast<size_t>(number) * record_bytes(), record_bytes());
    SourceItem item;
    item.file = file_.string();
    item.key = safe_key(fmt::format("{}/{:05}", file_.stem().string(), number));
    for (size_t i = 0; i < labels_; ++i) {
      const auto label = std::to_integer<size_t>(record[i]);
      if (label >= names_[i].size()) {
        item.rejection = Rejection::unreadable_tags;
        item.detail = fmt::format("label {} of {}", label, names_[i].size());
        return item;
      }
      item.tags.push_back(names_[i][label]);
    }
    Tensor image(DType::u8, {side, side, 3});
    const auto pixels = image.as<uint8_t>();
    const auto planes = record.subspan(labels_);
    for (size_t c = 0; c < 3; ++c) {
      for (size_t i = 0; i < plane; ++i) {
        pixels[3 * i + c] = std::to_integer<uint8_t>(planes[c * plane + i]);
      }
    }
    item.made = encode_png(image);
    return item;
  }

 private:
  size_t record_bytes() const { return labels_ + 3 * plane; }

  fs::path file_;
  MappedFile map_;
  size_t labels_;
  std::vector<std::vector<std::string>> names_;
};

/// Reads the header of an IDX file of bytes: two zeros, 8, the number of dimensions, and each
/// dimension in 32 bits, most significant byte first.
std::vector<int64_t> idx_shape(std::span<const std::byte> bytes, const std::string& name) {
  const auto number = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<int64_t>(bytes[at + i]);
    return value;
  };
  if (bytes.size() < 4 || number(0) >> 8 != 8) {
    fail("{}: not an IDX file of bytes (it would begin with 0 0 8)", name);
  }
  const auto dimensions = std::to_integer<size_t>(bytes[3]);
  if (bytes.size() < 4 + 4 * dimensions) fail("{}: truncated", name);
  std::vector<int64_t> shape;
  size_t expected = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    shape.push_back(number(4 + 4 * i));
    const auto size = static_cast<size_t>(shape.back());
    if (size != 0 && expected > bytes.size() / size) {
      expected = bytes.size();  // more than the file has
    } else {
      expected *= size;
    }
  }
  const size_t found = bytes.size() - 4 - 4 * dimensions;
  if (found != expected) {
    fail("{}: {} bytes behind the header, expected {}; it is truncated or damaged", name, found,
         expected);
  }
  return shape;
}

class IdxSource : public Source {
 public:
  IdxSource(const fs::path& images, const fs::path& name, const fs::path& labels,
            const fs::path& labels_name, const SourceOptions& options)
      : name_(name), images_(images), labels_(labels) {
    const auto shape = idx_shape(images_.bytes(), name.string());
    const auto label_shape = idx_shape(labels_.bytes(), labels_name.string());
    if (shape.size() != 3 || shape[0] == 0 || shape[1] == 0 || shape[2] == 0) {
      fail("{}: of {} dimensions, expected images × rows × columns", name.string(), shape.size());
    }
    if (label_shape.size() != 1 || label_shape[0] != shape[0]) {
      fail("{}: {} labels for the {} images of {}", labels_name.string(),
           label_shape.empty() ? 0 : label_shape[0], shape[0], name.string());
    }
    size_ = shape[0];
    rows_ = shape[1];
    columns_ = shape[2];
    if (!options.label_names.empty()) names_ = read_label_names(options.label_names);
    key_ = name.filename().string();
    key_ = key_.substr(0, key_.find("images"));  // "train-", "t10k-", "kmnist-train-"
    key_ = key_.substr(0, key_.find_last_not_of("-_.") + 1);
    if (key_.empty()) key_ = "image";
  }

  int64_t size() const override { return size_; }

  SourceItem item(int64_t number) const override {
    SourceItem item;
    item.file = name_.string();
    item.key = safe_key(fmt::format("{}/{:05}", key_, number));
    const auto label =
        std::to_integer<size_t>(labels_.bytes()[label_header + static_cast<size_t>(number)]);
    if (names_.empty()) {
      item.tags.push_back(fmt::format("{}", label));
    } else if (label < names_.size()) {
      item.tags.push_back(names_[label]);
    } else {
      item.rejection = Rejection::unreadable_tags;
      item.detail = fmt::format("label {} of {}", label, names_.size());
      return item;
    }
    Tensor image(DType::u8, {rows_, columns_, 1});
    const auto pixels = image.as<uint8_t>();
    std::memcpy(pixels.data(),
                images_.bytes().data() + image_header + static_cast<size_t>(number) * pixels.size(),
                pixels.size());
    item.made = encode_png(image);
    return item;
  }

 private:
  static constexpr size_t image_header = 16, label_header = 8;
  fs::path name_;
  MappedFile images_, labels_;
  std::vector<std::string> names_;
  std::string key_;
  int64_t size_ = 0, rows_ = 0, columns_ = 0;
};

}  // namespace

fs::path idx_labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  const auto replace = [&](std::string_view from, std::string_view to) {
    const size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  };
  replace("images", "labels");
  replace("idx3", "idx1");
  replace(".gz", "");
  for (const char* packed : {"", ".gz"}) {
    fs::path labels = images.parent_path() / (name + packed);
    if (labels.filename() != images.filename() && path_exists(labels)) return labels;
  }
  fail_usage("{}: no labels beside it; expected {} or {}.gz", images.string(),
             (images.parent_path() / name).string(), name);
}

std::vector<fs::path> cifar_label_files(const fs::path& file, bool coarse) {
  const fs::path folder = file.parent_path();
  if (!coarse) return {folder / "batches.meta.txt"};
  return {folder / "coarse_label_names.txt", folder / "fine_label_names.txt"};
}

std::vector<std::string> read_label_names(const fs::path& file) {
  require_file(file, "the names of the labels are expected there");
  std::vector<std::string> names;
  const std::string text = read_file(file);
  for (const auto& line : split(without_byte_order_mark(text), '\n')) {
    if (const auto name = trim(line); !name.empty()) names.emplace_back(name);
  }
  if (names.empty()) fail("{}: empty, expected a name a line", file.string());
  return names;
}

std::unique_ptr<Source> open_cifar(const fs::path& file, bool coarse) {
  return std::make_unique<CifarSource>(file, coarse);
}

std::unique_ptr<Source> open_idx(const fs::path& file, const fs::path& name,
                                 const SourceOptions& options, const fs::path& work) {
  const fs::path labels = idx_labels_beside(name);
  return std::make_unique<IdxSource>(file, name, unpacked(labels, work), labels, options);
}

}  // namespace hardmoe
