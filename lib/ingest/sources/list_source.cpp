#include "ingest/sources/list_source.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/folders.h"
#include "base/foreign_json.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr size_t longest_record = longest_json;

/// Returns whether the path may lead out of a folder.
bool leaves_folder(const fs::path& path) {
  return path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end();
}

void refuse_image(SourceItem& item, Rejection reason, std::string why) {
  item.rejection = reason;
  item.detail = std::move(why);
}

/// A name as other systems write it, with the advice to give if the image is found under it.
struct Spelling {
  std::string name, hint;
};
std::vector<Spelling> other_spellings(const std::string& name) {
  std::string slashes = name;
  std::replace(slashes.begin(), slashes.end(), '\\', '/');
  std::vector<Spelling> spellings = {
      {std::string(trim(name)),
       "without the blanks around it it is there; take them out of the list"},
      {slashes, "with '/' instead of '\\' it is there; write the list so (tr '\\\\' '/')"}};
  for (const auto& form : {composed(slashes), decomposed(slashes)}) {
    spellings.push_back(
        {form,
         "in another Unicode form (NFC, NFD) it is there; convert the list (uconv -x "
         "nfc or nfd) or the files' names (convmv)"});
  }
  return spellings;
}

}  // namespace

ListSource::ListSource(const ListFile& list, const SourceOptions& options, const TableForm& form)
    : list_(list), options_(options), records_(list.file, form), store_(options.images) {
  if (!options.label_names.empty()) label_names_ = read_label_names(options.label_names);
}

int64_t ListSource::size() const { return std::max<int64_t>(records_.size() - headings_, 0); }

SourceItem ListSource::item(int64_t number) const {
  const Record record = records_.record(number + headings_);
  SourceItem item;
  item.file = fmt::format("{}, line {}", list_.name, record.line);
  item.key = fmt::format("line-{}", record.line);
  if (record.text.size() > longest_record) {
    item.rejection = Rejection::unreadable_tags;
    item.detail = fmt::format("{} bytes, at most {} are read", record.text.size(), longest_record);
    return item;
  }
  read(record.text, item);
  if (item.rejection == Rejection::none) name_labels(label_names_, item);
  return item;
}

void ListSource::report_blank_lines() {
  if (records_.blank_lines() == 0) return;
  PassedOver& passed = report_.passed_over["blank line"];
  passed.count += records_.blank_lines();
  for (const int64_t line : records_.first_blank_lines()) {
    passed.examples.push_back(fmt::format("{}, line {}", list_.name, line));
  }
}

std::string ListSource::key_of(const fs::path& image, const std::string& key) {
  return safe_key(key.empty() ? (image.parent_path() / image.stem()).string() : key);
}

void ListSource::take_image(const std::string& image, const std::string& key,
                            SourceItem& item) const {
  if (image.empty()) return refuse_image(item, Rejection::no_image, "no image is named");
  if (image.find("://") != std::string::npos) {
    return refuse_image(
        item, Rejection::unreadable_image,
        fmt::format("'{}' is an address; download the images first (img2dataset)", image));
  }
  if (image.find('\0') != std::string::npos) {
    return refuse_image(item, Rejection::unreadable_image, "a zero byte in its name");
  }
  const fs::path path(image);
  item.key = key_of(path, key);
  if (store_.empty()) {
    item.path = list_.folder / path;
    if (path_kind(item.path) == PathKind::nothing) {
      refuse_image(item, Rejection::unreadable_image,
                   fmt::format("{}: {}", item.path.string(), why_not_there(image)));
    }
    return;
  }
  if (!options_.allow_outside && leaves_folder(path)) {
    return refuse_image(
        item, Rejection::outside,
        fmt::format("'{}' may lie outside --images; --allow-outside reads it", image));
  }
  auto location = store_.find(image);
  if (!location) {
    return refuse_image(
        item, Rejection::unreadable_image,
        fmt::format("'{}' is in none of --images: {}", image, why_not_there(image)));
  }
  item.path = std::move(location->path);
  if (!item.path.empty()) return;
  item.tar = store_.tars()[location->tar];
  item.offset = location->offset;
  item.bytes = location->bytes;
}

/// Returns why an image is not found, with the name it may have.
std::string ListSource::why_not_there(const std::string& image) const {
  if (valid_utf8_length(image) < image.size()) {
    return "no such file; its name in the list is not UTF-8 (iconv -t UTF-8)";
  }
  for (const auto& [name, hint] : other_spellings(image)) {
    if (name.empty() || name == image) continue;
    const bool there = store_.empty() ? path_kind(list_.folder / name) == PathKind::file
                                      : store_.find(name).has_value();
    if (there && (store_.empty() || options_.allow_outside || !leaves_folder(name))) return hint;
  }
  return "no such file";
}

}  // namespace hardmoe
