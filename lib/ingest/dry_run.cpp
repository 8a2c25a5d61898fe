// Shows how an ingest would understand its sources, without writing a dataset.
#include <algorithm>

#include "base/error.h"
#include "base/folders.h"
#include "base/printable.h"
#include "base/signals.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "ingest/inputs.h"
#include "ingest/vocabulary.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr int64_t items_shown = 5;
constexpr size_t sources_shown = 8;  // for each kind; the others are only opened and counted
constexpr size_t tags_shown = 12;

/// A temporary folder for what sources unpack.
class UnpackFolder {
 public:
  UnpackFolder() : folder_(make_temporary_folder(fs::temp_directory_path() / "moe-ingest")) {}
  ~UnpackFolder() { try_remove(folder_); }
  UnpackFolder(const UnpackFolder&) = delete;
  UnpackFolder& operator=(const UnpackFolder&) = delete;
  const fs::path& path() const { return folder_; }

 private:
  fs::path folder_;
};

std::string describe_tags(const std::vector<std::string>& tags) {
  std::vector<std::string> shown(
      tags.begin(), tags.begin() + static_cast<std::ptrdiff_t>(std::min(tags.size(), tags_shown)));
  for (auto& tag : shown) tag = fmt::format("'{}'", printable(tag));
  return join(shown, ", ") + (tags.size() > tags_shown ? ", …" : "");
}

std::string describe_item(const Source& source, int64_t number, const TagRules& rules) {
  SourceItem item = source.item(number);
  if (item.rejection != Rejection::none) {
    return fmt::format("  {}: {}, {}\n", printable(item.key), name_of(item.rejection),
                       printable(item.detail));
  }
  const auto tags = clean_tags(item.tags, rules);
  std::string text =
      fmt::format("  {}: {}", printable(item.key), tags.empty() ? "no tags" : describe_tags(tags));
  if (tags.empty() && !item.detail.empty()) text += ", " + printable(item.detail);
  if (item.truth) text += "; truth: " + describe_tags(clean_tags(*item.truth, rules));
  return text + "\n";
}

}  // namespace

std::string describe_sources(const IngestOptions& options) {
  const StandardInput input(options);
  FoundSources found = find_sources(options, input);
  const TagRules rules = load_tag_rules(options.stop_tags, options.merge_tags);
  const UnpackFolder work;
  std::string text;
  for (const bool val : {false, true}) {
    const auto& sources = val ? found.found_val : found.sources;
    int64_t rest = 0;
    for (size_t s = 0; s < sources.size(); ++s) {
      throw_if_interrupted();
      const SourceSpec& spec = sources[s];
      const std::string name = spec.path == "-" ? "standard input" : spec.path.string();
      const auto source = open_source(spec, options.source, input.file(), work.path());
      found.report.add(source->report(), name);
      if (s >= sources_shown) {
        rest += source->size();
        continue;
      }
      text += fmt::format("{}: {}, split '{}', {} items\n", printable(name),
                          source_kind_names[static_cast<size_t>(spec.kind)], val ? "val" : "train",
                          source->size());
      for (const auto& fact : source->report().facts) text += fmt::format("  {}\n", fact);
      for (int64_t i = 0; i < std::min(source->size(), items_shown); ++i) {
        text += "  " + describe_item(*source, i, rules);
      }
    }
    if (sources.size() > sources_shown) {
      text += fmt::format("… and {} sources more of split '{}', with {} items\n",
                          sources.size() - sources_shown, val ? "val" : "train", rest);
    }
  }
  for (const auto& warning : found.report.warnings) text += "warning: " + warning + '\n';
  if (!found.report.passed_over.empty()) {
    text += "passed over:" + passed_over_text(found.report.passed_over) + '\n';
  }
  if (options.strict) found.report.refuse_passed_over();
  return text;
}

}  // namespace hardmoe
