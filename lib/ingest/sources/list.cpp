#include "base/error.h"
#include "base/text.h"
#include "ingest/sources/list_source.h"

namespace hardmoe {
namespace {

class JsonLinesSource : public ListSource {
 public:
  JsonLinesSource(const ListFile& list, const SourceOptions& options)
      : ListSource(list, options, {'\n', RecordForm::line, false}), reader_(options) {
    records_.sample([&](const Record& record) { reader_.look_at_json(record.text); });
    reader_.decide(report_);
    report_blank_lines();
  }

 protected:
  void read(std::string_view record, SourceItem& item) const override {
    const Json value = reader_.read_json(record, item);
    if (item.rejection != Rejection::none) return;
    const std::string field = image_field(value);
    const auto image = value.find(field);
    const auto refuse = [&](Rejection reason, std::string why) {
      item.rejection = reason;
      item.detail = std::move(why);
    };
    if (image == value.end()) {
      return refuse(Rejection::no_image, missing_field(value, "image", {field}));
    }
    const auto key_place =
        value.find(options_.columns.key.empty() ? "key" : options_.columns.key[0]);
    const std::string key = key_place == value.end() ? std::string() : text_of(*key_place);
    if (image->is_object() && (image->contains("bytes") || image->contains("path"))) {
      return take_image_object(*image, field, key, item);
    }
    if (!image->is_string() && !image->is_number()) {
      return refuse(Rejection::no_image, fmt::format("field '{}': expected a path, found {}", field,
                                                     image->type_name()));
    }
    take_image(text_of(*image), key, item);
  }

 private:
  /// Returns the first usual field that exists, or the one asked for.
  std::string image_field(const Json& value) const {
    if (!options_.columns.image.empty()) return options_.columns.image[0];
    for (const auto& name : usual_image_names) {
      if (value.contains(name)) return name;
    }
    return usual_image_names[0];
  }

  /// Reads an image as Hugging Face's datasets hold it: {"bytes": base64 or null, "path": "1.jpg"}.
  void take_image_object(const Json& image, const std::string& field, const std::string& key,
                         SourceItem& item) const {
    const auto text = [&](const char* name) {
      const auto member = image.find(name);
      return member != image.end() && member->is_string() ? member->get<std::string>()
                                                          : std::string();
    };
    const std::string path = text("path");
    if (!image.contains("bytes") || image["bytes"].is_null()) return take_image(path, key, item);
    auto bytes = base64_decoded(text("bytes"));
    if (!bytes || bytes->empty()) {
      item.rejection = Rejection::unreadable_image;
      item.detail = fmt::format("field '{}': 'bytes' is no base64 text", field);
      return;
    }
    item.made = std::move(*bytes);
    if (!path.empty() || !key.empty()) item.key = key_of(path, key);
  }

  static std::string text_of(const Json& value) {
    return value.is_string()   ? value.get<std::string>()
           : value.is_number() ? value.dump()
                               : std::string();
  }

  MetadataReader reader_;
};

}  // namespace

std::unique_ptr<Source> open_json_lines(const ListFile& list, const SourceOptions& options) {
  return std::make_unique<JsonLinesSource>(list, options);
}

void refuse_foreign_list(std::string_view head, const std::string& name) {
  if (head.starts_with("PAR1")) {
    fail_usage(
        "{0}: Parquet, which is read through a pipe: python3 datasets/parquet/parquet_lines.py {0} "
        "| "
        "moe-ingest - …",
        name);
  }
  if (is_utf16(head)) {
    fail_usage("{}: UTF-16, expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)", name);
  }
}

std::unique_ptr<Source> open_list(const ListFile& list, const SourceOptions& options) {
  return list.kind == SourceKind::json_lines ? open_json_lines(list, options)
                                             : open_table(list, options);
}

}  // namespace hardmoe
