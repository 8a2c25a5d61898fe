#include "base/error.h"
#include "base/text.h"
#include "data/tar.h"
#include "image/codec.h"
#include "ingest/sources/kinds.h"
#include "ingest/sources/samples.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns what a tar contains besides members: "3 bytes follow …".
void report_archive(const TarIndex& index, SourceReport& report) {
  for (const auto& [name, kind] : index.others) report.pass_over(kind, name);
  if (index.archives > 1) {
    report.facts.push_back(fmt::format("{} archives, one behind the other", index.archives));
  }
  if (index.bytes_behind > 0) {
    report.pass_over("bytes behind an archive's end", fmt::format("{} bytes", index.bytes_behind));
    report.warnings.push_back(fmt::format(
        "{} bytes behind the archive's end are no tar and are not read", index.bytes_behind));
  }
}

class WebDatasetSource : public Source {
 public:
  WebDatasetSource(const fs::path& tar, const SourceOptions& options)
      : tar_(fs::absolute(tar).lexically_normal()), map_(tar), options_(options), reader_(options) {
    TarIndex index = read_tar(map_.bytes(), tar.string());
    report_archive(index, report_);
    SampleGatherer gatherer(options.image_field, options.tag_field);
    for (const TarEntry& file : index.files) {
      const MemberLocation location{file.offset, file.size};
      gatherer.add(file.name, location, is_image(file.name, location), report_);
    }
    for (size_t l = 0; l < index.links.size(); ++l) {
      const TarLink& link = index.links[l];
      const MemberLocation location{link.offset, link.size,
                                    link.size < 0 ? static_cast<int32_t>(l) : int32_t{-1}};
      gatherer.add(link.name, location, link.size >= 0 && is_image(link.name, location), report_);
    }
    samples_ = gatherer.finish(report_);
    links_ = std::move(index.links);
    if (!options.label_names.empty()) label_names_ = read_label_names(options.label_names);
    describe();
    look_at_tags();
  }

  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  std::vector<fs::path> tars() const override { return {tar_}; }

  SourceItem item(int64_t number) const override {
    const Sample& sample = samples_[static_cast<size_t>(number)];
    SourceItem item;
    // Keys are unique only within a tar: most data sets number each shard's samples from 0.
    item.key = safe_key(fmt::format("{}/{}", tar_.stem().string(), sample.key));
    item.file = tar_.string();
    if (sample.is_repeat) {
      item.rejection = Rejection::repeated;
      item.detail = fmt::format("a second member for '{}'; --image-field chooses one", sample.key);
    } else if (!sample[SampleField::image].exists()) {
      item.rejection = Rejection::no_image;
      item.detail = fmt::format("no image beside '{}'", sample.key);
    }
    for (const MemberLocation& location : sample.fields) refuse_broken(location, item);
    if (item.rejection != Rejection::none) return item;
    item.bytes = bytes_of(sample[SampleField::image]);
    item.tar = tar_;
    item.offset = sample[SampleField::image].offset;
    read_tags(sample, item);
    return item;
  }

 private:
  /// Returns whether the content is an image, for members whose names do not tell.
  bool is_image(const std::string& name, const MemberLocation& location) const {
    return !SampleGatherer::tells_field(name) && !known_image_format(bytes_of(location)).empty();
  }

  void describe() {
    std::array<int64_t, sample_fields> count{};
    for (const Sample& sample : samples_) {
      for (size_t f = 0; f < sample_fields; ++f) count[f] += sample.fields[f].exists();
    }
    report_.facts.push_back(fmt::format("{} images; tags in {} .json, {} .txt, {} .cls", count[0],
                                        count[1], count[2], count[3]));
    if (count[3] > 0 && label_names_.empty()) {
      report_.warnings.emplace_back(
          "labels in .cls become tags as they are, numbers; --label-names FILE names them");
    }
  }

  /// Learns from a sample how texts hold tags, which is the same in the whole tar.
  void look_at_tags() {
    constexpr size_t most = 1000;
    const size_t step = samples_.size() / most + 1;
    for (size_t s = 0; s < samples_.size(); s += step) {
      const auto& json = samples_[s][SampleField::json];
      const auto& text = samples_[s][SampleField::text];
      if (json.size >= 0) reader_.look_at_json(text_of(json));
      if (text.size >= 0) reader_.look_at_text(text_of(text));
    }
    reader_.decide(report_);
  }

  void refuse_broken(const MemberLocation& location, SourceItem& item) const {
    if (location.broken < 0 || item.rejection == Rejection::repeated) return;
    const TarLink& link = links_[static_cast<size_t>(location.broken)];
    item.rejection = link.leaves ? Rejection::outside : Rejection::unreadable_image;
    item.detail = fmt::format("'{}' is a link to '{}', which is {}", link.name, link.target,
                              link.leaves ? "outside the archive" : "no file of the archive");
  }

  void read_tags(const Sample& sample, SourceItem& item) const {
    if (!sample.has_tags()) item.detail = "no .json, .txt or .cls beside it";
    const auto& json = sample[SampleField::json];
    if (json.exists()) reader_.read_json(text_of(json), item);
    // img2dataset writes an image's metadata into .json and its caption into .txt.
    const auto wanted = [&] {
      return item.rejection == Rejection::none && item.tags.empty() &&
             options_.columns.tags.empty();
    };
    const auto& text = sample[SampleField::text];
    if (text.exists() && wanted()) reader_.read_text(text_of(text), item);
    if (item.rejection == Rejection::none) name_labels(label_names_, item);
    const auto& label = sample[SampleField::label];
    if (label.exists() && wanted()) read_label(text_of(label), label_names_, item);
  }

  std::span<const std::byte> bytes_of(const MemberLocation& location) const {
    return map_.bytes().subspan(static_cast<size_t>(location.offset),
                                static_cast<size_t>(location.size));
  }

  std::string_view text_of(const MemberLocation& location) const {
    const auto bytes = bytes_of(location);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  fs::path tar_;
  MappedFile map_;
  SourceOptions options_;
  MetadataReader reader_;
  std::vector<Sample> samples_;
  std::vector<TarLink> links_;
  std::vector<std::string> label_names_;
};

}  // namespace

std::unique_ptr<Source> open_webdataset(const fs::path& tar, const SourceOptions& options) {
  return std::make_unique<WebDatasetSource>(tar, options);
}

}  // namespace hardmoe
