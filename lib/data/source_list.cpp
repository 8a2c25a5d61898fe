#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "data/source_kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// What every list has in common: records, and images that they name.
class ListSource : public Source {
 public:
  ListSource(const ListFile& list, const SourceOptions& options)
      : list_(list),
        options_(options),
        records_(list.file, list.kind == SourceKind::csv ? RecordForm::quoted : RecordForm::line),
        store_(options.images) {}

  int64_t size() const override { return records_.size(); }
  std::vector<fs::path> tars() const override { return store_.tars(); }

  SourceItem item(int64_t number) const override {
    const Record record = record_of(number);
    SourceItem item;
    item.file = fmt::format("{}, line {}", list_.name, record.line);
    item.key = fmt::format("line-{}", record.line);
    read(record.text, item);
    return item;
  }

 protected:
  virtual Record record_of(int64_t number) const { return records_.record(number); }
  /// Reads the record's tags, its image by take_image().
  virtual void read(std::string_view record, SourceItem& item) const = 0;

  void take_image(const std::string& image, const std::string& key, SourceItem& item) const {
    if (image.empty()) {
      item.rejection = Rejection::no_image;
      item.detail = "no image is named";
      return;
    }
    if (image.find("://") != std::string::npos) {
      item.rejection = Rejection::unreadable_image;
      item.detail =
          fmt::format("'{}' is an address; download the images first (img2dataset)", image);
      return;
    }
    const fs::path path(image);
    item.key = safe_key(key.empty() ? (path.parent_path() / path.stem()).string() : key);
    if (store_.empty()) {
      item.path = list_.folder / path;
      return;
    }
    auto place = store_.find(image);
    if (!place) {
      item.rejection = Rejection::unreadable_image;
      item.detail = fmt::format("'{}' is in none of --images", image);
      return;
    }
    item.path = std::move(place->path);
    if (!item.path.empty()) return;
    item.tar = store_.tars()[place->tar];
    item.offset = place->offset;
    item.bytes = place->bytes;
  }

  ListFile list_;
  SourceOptions options_;
  RecordFile records_;
  ImageStore store_;
};

class JsonLinesSource : public ListSource {
 public:
  using ListSource::ListSource;

 protected:
  void read(std::string_view record, SourceItem& item) const override {
    const Json value = read_json_metadata(record, options_, item);
    if (item.rejection != Rejection::none) return;
    const auto& named = options_.columns;
    const std::string field = named.image.empty() ? "image" : named.image[0];
    const auto image = value.find(field);
    if (image == value.end() || !(image->is_string() || image->is_number())) {
      item.rejection = Rejection::no_image;
      item.detail = image == value.end() ? missing_field(value, "image", {field})
                                         : fmt::format("field '{}': expected a path, found {}",
                                                       field, image->type_name());
      return;
    }
    const auto key = value.find(named.key.empty() ? "key" : named.key[0]);
    take_image(text_of(*image), key == value.end() ? std::string() : text_of(*key), item);
  }

 private:
  static std::string text_of(const Json& value) {
    return value.is_string()   ? value.get<std::string>()
           : value.is_number() ? value.dump()
                               : std::string();
  }
};

/// CSV and TSV. The first line names the columns, unless --columns gives numbers, from 1.
class TableSource : public ListSource {
 public:
  TableSource(const ListFile& list, const SourceOptions& options) : ListSource(list, options) {
    separator_ = list.kind == SourceKind::csv ? ',' : '\t';
    if (records_.size() == 0) return;
    const auto& named = options.columns;
    const auto numbers = numbered(named);
    if (!numbers) heading_ = row_of(records_.record(0).text).fields;
    has_heading_ = !numbers;
    image_ = resolve(named.image, {"image", "path", "file", "filename", "file_name"});
    tags_ = resolve(named.tags, {"tags"});
    truth_ = resolve(named.truth, {"truth"});
    key_ = resolve(named.key, {"key"});
    if (image_.empty() || tags_.empty()) {
      const char* missing = image_.empty() ? "image" : "tags";
      fail_usage("{}, line 1: no column '{}' among '{}'; {}", list.name, missing,
                 join(heading_, "', '"),
                 separator_hint().value_or(
                     fmt::format("name it by --columns {}=NAME or =NUMBER", missing)));
    }
    if (image_.size() > 1 || key_.size() > 1) {
      fail_usage("{}, line 1: two columns '{}'; rename one of them", list.name,
                 heading_[image_.size() > 1 ? image_[1] : key_[1]]);
    }
  }

  int64_t size() const override {
    return std::max<int64_t>(records_.size() - (has_heading_ ? 1 : 0), 0);
  }

 protected:
  Record record_of(int64_t number) const override {
    return records_.record(number + (has_heading_ ? 1 : 0));
  }

  void read(std::string_view record, SourceItem& item) const override {
    const auto [fields, quote_is_open] = row_of(record);
    if (quote_is_open) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = "a quote is not closed, or not before a comma or the end of a line";
      return;
    }
    const size_t last = std::max({largest(image_), largest(tags_), largest(truth_), largest(key_)});
    if (last >= fields.size()) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = fmt::format("{} fields, expected {} or more", fields.size(), last + 1);
      return;
    }
    if (has_heading_ && has_more_than(heading_.size(), fields)) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = fmt::format("{} fields, the heading has {}{}", fields.size(), heading_.size(),
                                separator_ == ',' ? "; put a field with commas in quotes" : "");
      return;
    }
    for (const Columns* columns : {&tags_, &truth_}) {
      for (const size_t column : *columns) {
        if (!require_utf8(fields[column], item)) return;
      }
    }
    item.tags = strings(tags_, fields);
    if (item.tags.empty()) item.detail = fmt::format("column {} is blank", column_name(tags_[0]));
    if (!truth_.empty()) item.truth = strings(truth_, fields);
    take_image(fields[image_[0]], key_.empty() ? std::string() : fields[key_[0]], item);
  }

 private:
  using Columns = std::vector<size_t>;

  TableRow row_of(std::string_view record) const {
    return split_fields(record, separator_, separator_ == ',');
  }

  /// Blank ones at the end do not count.
  static bool has_more_than(size_t count, const std::vector<std::string>& fields) {
    return fields.size() > count &&
           std::any_of(fields.begin() + static_cast<int64_t>(count), fields.end(),
                       [](const std::string& field) { return !trim(field).empty(); });
  }

  static size_t largest(const Columns& columns) {
    return columns.empty() ? 0 : *std::max_element(columns.begin(), columns.end());
  }

  static bool is_number(const std::string& name) {
    return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  }

  bool numbered(const ColumnNames& named) const {
    std::vector<std::string> all;
    for (const auto* names : {&named.image, &named.tags, &named.truth, &named.key}) {
      all.insert(all.end(), names->begin(), names->end());
    }
    const auto count = std::count_if(all.begin(), all.end(), is_number);
    if (count == 0) return false;
    if (count != static_cast<int64_t>(all.size()) || named.image.empty() || named.tags.empty()) {
      fail_usage("--columns: give numbers for all columns (image and tags at least), or names");
    }
    return true;
  }

  /// `usual`: the first of these that the heading has, where nothing was asked for.
  Columns resolve(const std::vector<std::string>& names,
                  const std::vector<std::string>& usual) const {
    Columns columns;
    for (const auto& name : names) {
      if (!has_heading_) {
        size_t number = 0;
        std::from_chars(name.data(), name.data() + name.size(), number);
        if (number == 0) fail_usage("--columns: columns are numbered from 1, found {}", name);
        columns.push_back(number - 1);
        continue;
      }
      const auto found = columns_where([&](const std::string& there) { return there == name; });
      if (found.empty()) {
        fail_usage("{}, line 1: no column '{}' (--columns) among '{}'{}", list_.name, name,
                   join(heading_, "', '"),
                   separator_hint() ? "; " + *separator_hint() : std::string());
      }
      columns.insert(columns.end(), found.begin(), found.end());
    }
    for (size_t i = 0; i < usual.size() && columns.empty() && has_heading_; ++i) {
      columns =
          columns_where([&](const std::string& there) { return fold_case(there) == usual[i]; });
    }
    return columns;
  }

  /// There may be several of one name.
  Columns columns_where(const auto& is_wanted) const {
    Columns columns;
    for (size_t c = 0; c < heading_.size(); ++c) {
      if (is_wanted(heading_[c])) columns.push_back(c);
    }
    return columns;
  }

  std::string column_name(size_t column) const {
    return has_heading_ ? fmt::format("'{}'", heading_[column]) : fmt::format("{}", column + 1);
  }

  /// Where the heading is a single column: what else stands between names in it.
  std::optional<std::string> separator_hint() const {
    if (heading_.size() != 1) return {};
    const auto has = [&](char c) { return heading_[0].find(c) != std::string::npos; };
    for (const char other : {';', '|'}) {
      if (!has(other)) continue;
      return fmt::format(
          "the separator looks like '{0}', which is not understood: make a TSV of it "
          "(tr '{0}' '\\t' < LIST > LIST.tsv)",
          other);
    }
    if (separator_ != ',' && has(',')) return "the separator looks like ',': read it as csv:PATH";
    if (separator_ != '\t' && has('\t')) return "the separator looks like a tab: tsv:PATH reads it";
    return {};
  }

  std::vector<std::string> strings(const Columns& columns,
                                   const std::vector<std::string>& fields) const {
    std::vector<std::string> all;
    for (const size_t column : columns) {
      for (auto& tag : split_tags(fields[column], options_)) all.push_back(std::move(tag));
    }
    return all;
  }

  char separator_ = ',';
  bool has_heading_ = true;
  std::vector<std::string> heading_;
  Columns image_, tags_, truth_, key_;
};

}  // namespace

std::unique_ptr<Source> open_list(const ListFile& list, const SourceOptions& options) {
  if (list.kind == SourceKind::json_lines) return std::make_unique<JsonLinesSource>(list, options);
  return std::make_unique<TableSource>(list, options);
}

}  // namespace hardmoe
