#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "ingest/sources/list_source.h"
#include "ingest/sources/list_text.h"

namespace hardmoe {
namespace {

/// A CSV or TSV. Its first line names the columns, unless --columns gives numbers (from 1).
class TableSource : public ListSource {
 public:
  TableSource(const ListFile& list, const SourceOptions& options)
      : TableSource(list, options,
                    find_form(list.file, list.kind == SourceKind::csv ? ',' : '\t')) {}

 protected:
  void read(std::string_view record, SourceItem& item) const override {
    const auto [fields, quote_is_open] = split_fields(record, form_);
    const auto refuse = [&](std::string why) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = std::move(why);
    };
    if (quote_is_open) {
      return refuse("a quote is not closed, or not before a comma or the end of a line");
    }
    const size_t last = std::max({largest(image_), largest(tags_), largest(truth_), largest(key_)});
    if (last >= fields.size()) {
      return refuse(fmt::format("{} fields, expected {} or more", fields.size(), last + 1));
    }
    if (headings_ > 0 && has_more_than(heading_.size(), fields)) {
      return refuse(
          fmt::format("{} fields, the heading has {}{}", fields.size(), heading_.size(),
                      form_.separator == ',' ? "; put a field with commas in quotes" : ""));
    }
    if (is_absent(fields, item)) return;
    if (!read_columns(tags_, fields, item.tags, item)) return;
    if (!truth_.empty() && !read_columns(truth_, fields, item.truth.emplace(), item)) return;
    check_tags(item);
    if (item.rejection != Rejection::none) return;
    if (item.tags.empty()) item.detail = fmt::format("column {} is blank", column_name(tags_[0]));
    take(fields[image_[0]], key_.empty() ? std::string() : fields[key_[0]], item);
  }

 private:
  using Columns = std::vector<size_t>;

  TableSource(const ListFile& list, const SourceOptions& options, const FoundForm& found)
      : ListSource(list, options, found.form), form_(found.form) {
    report_quotes(found);
    report_blank_lines();
    if (records_.size() == 0) return;
    const auto& named = options.columns;
    const bool has_heading = !numbered(named);
    const Record first = records_.record(0);
    if (has_heading) {
      headings_ = 1;
      for (const auto& name : split_fields(first.text, form_).fields) {
        heading_.emplace_back(trim(name));
      }
    }
    find_columns(named);
    for (const Columns* columns : {&tags_, &truth_}) {
      for (const size_t column : *columns) {
        readings_.emplace(column, TagColumn(fmt::format("column {}", column_name(column)),
                                            options.tag_separator, !options.label_names.empty()));
      }
    }
    records_.sample([&](const Record& record) {
      if (has_heading && record.line == first.line) return;
      const auto row = split_fields(record.text, form_);
      for (auto& [column, reading] : readings_) {
        if (column < row.fields.size() && !row.quote_is_open) reading.look_at(row.fields[column]);
      }
    });
    report_.facts.push_back(fmt::format("images: column {}", column_name(image_[0])));
    for (auto& [column, reading] : readings_) {
      reading.decide();
      reading.report_to(report_);
    }
  }

  void report_quotes(const FoundForm& found) {
    if (found.quoted + found.stray == 0) return;
    const bool quotes = found.form.records == RecordForm::quoted;
    report_.facts.push_back(
        quotes
            ? fmt::format("quotes stand around fields, in {}", found.quoted)
            : fmt::format("quotes are characters as others: {} fields have some that do not stand "
                          "around them",
                          found.stray));
    if (found.quoted == 0 || found.stray == 0) return;
    report_.warnings.push_back(fmt::format(
        "{} fields stand in quotes, and {} have other quotes (the first in line {}); {}",
        found.quoted, found.stray, found.stray_line,
        quotes ? "those are read as they stand" : "so all quotes are read as characters"));
  }

  void find_columns(const ColumnNames& named) {
    image_ = resolve(named.image, usual_image_names);
    tags_ = resolve(named.tags, {"tags"});
    truth_ = resolve(named.truth, {"truth"});
    key_ = resolve(named.key, {"key"});
    find_open_images();
    if (image_.empty() || tags_.empty()) {
      const char* missing = image_.empty() ? "image" : "tags";
      fail_usage("{}, line 1: no column '{}' among '{}'; {}", list_.name, missing,
                 join(heading_, "', '"),
                 separator_hint().value_or(
                     fmt::format("name it by --columns {}=NAME or =NUMBER", missing)));
    }
    if (image_.size() > 1 || key_.size() > 1) {
      fail_usage("{}, line 1: two columns '{}'; rename one of them", list_.name,
                 heading_[image_.size() > 1 ? image_[1] : key_[1]]);
    }
  }

  /// Reads Open Images' labels: "ImageID,Source,LabelName,Confidence", a label a row; confidence 0
  /// says that the image does not show it.
  void find_open_images() {
    const Columns image = resolve({}, {"imageid"}), label = resolve({}, {"labelname"});
    const Columns confidence = resolve({}, {"confidence"});
    if (image.size() != 1 || label.size() != 1 || confidence.size() != 1) return;
    if (image_.empty() && options_.columns.image.empty()) image_ = image;
    if (tags_.empty() && options_.columns.tags.empty()) tags_ = label;
    if (image_ != image || tags_ != label) return;
    confidence_ = confidence;
    report_.facts.emplace_back("Open Images' labels: rows of Confidence 0 are absent labels");
  }

  /// Stores a fault in the item.
  bool is_absent(const std::vector<std::string>& fields, SourceItem& item) const {
    if (confidence_.empty()) return false;
    const std::string_view text =
        confidence_[0] < fields.size() ? trim(fields[confidence_[0]]) : std::string_view();
    double confidence = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), confidence);
    if (error != std::errc() || end != text.data() + text.size() || std::isnan(confidence)) {
      item.rejection = Rejection::unreadable_tags;
      item.detail = fmt::format("'Confidence': expected a number, found '{}'", text);
    } else if (confidence <= 0) {
      item.rejection = Rejection::absent_label;
      item.detail =
          fmt::format("'{}' of Confidence {} on '{}'", fields[tags_[0]], text, fields[image_[0]]);
    }
    return item.rejection != Rejection::none;
  }

  /// Returns the image's path in a field of the image column.
  void take(const std::string& field, const std::string& key, SourceItem& item) const {
    const auto path = path_of_image_text(field);
    if (path && path->empty()) {
      item.rejection = Rejection::no_image;
      item.detail =
          "the image's bytes as text of Python, which is not read; write JSON lines of the Parquet "
          "(datasets/parquet)";
      return;
    }
    take_image(path.value_or(field), key, item);
  }

  /// Appends the columns' contents to `strings`. Returns false, with the fault in the item, if they
  /// cannot be read.
  bool read_columns(const Columns& columns, const std::vector<std::string>& fields,
                    std::vector<std::string>& strings, SourceItem& item) const {
    for (const size_t column : columns) {
      if (!require_utf8(fields[column], item)) return false;
      std::string why = readings_.at(column).read(fields[column], strings);
      if (why.empty()) continue;
      item.rejection = Rejection::unreadable_tags;
      item.detail = std::move(why);
      return false;
    }
    return true;
  }

  /// Drops blank fields at the end.
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

  /// Finds the columns. `usual`: without names asked for, the first of these in the heading counts.
  Columns resolve(const std::vector<std::string>& names,
                  const std::vector<std::string>& usual) const {
    Columns columns;
    for (const auto& name : names) {
      if (headings_ == 0) {
        size_t number = 0;
        std::from_chars(name.data(), name.data() + name.size(), number);
        if (number == 0) fail_usage("--columns: columns are numbered from 1, found {}", name);
        columns.push_back(number - 1);
        continue;
      }
      const auto found = columns_where([&](const std::string& there) { return there == name; });
      if (found.empty()) {
        const std::string near = nearest_name(name, heading_);
        fail_usage("{}, line 1: no column '{}' (--columns) among '{}'{}{}", list_.name, name,
                   join(heading_, "', '"),
                   near.empty() ? "" : fmt::format("; did you mean '{}'?", near),
                   separator_hint() ? "; " + *separator_hint() : std::string());
      }
      columns.insert(columns.end(), found.begin(), found.end());
    }
    for (size_t i = 0; i < usual.size() && columns.empty() && headings_ > 0; ++i) {
      columns =
          columns_where([&](const std::string& there) { return fold_case(there) == usual[i]; });
    }
    return columns;
  }

  /// Returns all columns of that name.
  Columns columns_where(const auto& is_wanted) const {
    Columns columns;
    for (size_t c = 0; c < heading_.size(); ++c) {
      if (is_wanted(heading_[c])) columns.push_back(c);
    }
    return columns;
  }

  std::string column_name(size_t column) const {
    return headings_ > 0 ? fmt::format("'{}'", heading_[column]) : fmt::format("{}", column + 1);
  }

  /// Returns what else may separate the names of a heading that seems to be a single column.
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
    const char separator = form_.separator;
    if (separator != ',' && has(',')) return "the separator looks like ',': read it as csv:PATH";
    if (separator != '\t' && has('\t')) return "the separator looks like a tab: tsv:PATH reads it";
    return {};
  }

  TableForm form_;
  std::vector<std::string> heading_;
  Columns image_, tags_, truth_, key_;
  Columns confidence_;                    ///< of Open Images
  std::map<size_t, TagColumn> readings_;  ///< by column with tags or truth
};

}  // namespace

std::unique_ptr<Source> open_table(const ListFile& list, const SourceOptions& options) {
  return std::make_unique<TableSource>(list, options);
}

}  // namespace hardmoe
