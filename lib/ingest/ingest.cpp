#include "ingest/ingest.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "ingest/index.h"
#include "ingest/inputs.h"
#include "ingest/read.h"
#include "ingest/vocabulary.h"
#include "ingest/work.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* command_name = "moe-ingest";
constexpr const char* inputs_name = "inputs.tsv";

void check(const IngestOptions& options) {
  if (options.sources.empty()) fail_usage("no sources: name tars, lists, folders or '-'");
  if (options.out.empty()) fail_usage("--out: the folder to write the dataset to is missing");
  check_ingest_config(options);
}

Json identity_of_file(const fs::path& file) {
  return file.empty() ? Json() : Json(sha256_of_file(file));
}

/// Returns every setting that shapes the result; max_bad only decides whether there is one.
Json identity_of(const IngestOptions& options, const std::string& inputs) {
  const ColumnNames& columns = options.source.columns;
  Json identity = {
      {"inputs", sha256_hex(inputs)},
      {"columns",
       {{"image", columns.image},
        {"tags", columns.tags},
        {"truth", columns.truth},
        {"key", columns.key}}},
      {"tag_separator", options.source.tag_separator},
      {"label_names", identity_of_file(options.source.label_names)},
      {"resize", options.resize},
      {"copy", options.storage == ShardStorage::copy},
      {"keep_duplicates", options.duplicates == Duplicates::keep},
      {"near_duplicates", options.near_duplicates},
      {"max_pixels", options.max_pixels},
      {"min_size", options.min_size},
      {"max_aspect", options.max_aspect},
      {"min_tag_count", options.min_tag_count},
      {"max_tags", options.max_tags},
      {"stop_tags", identity_of_file(options.stop_tags)},
      {"merge_tags", identity_of_file(options.merge_tags)},
      {"vocabulary", options.vocabulary.empty()
                         ? Json()
                         : Json(sha256_hex(join(
                               load_vocabulary(vocabulary_file(options.vocabulary)).tags, "\n")))},
      {"image_field", options.source.image_field},
      {"tag_field", options.source.tag_field},
      {"allow_outside", options.source.allow_outside},
      {"val_fraction", options.val_fraction},
      {"seed", options.seed},
      {"shard_bytes", options.shard_bytes}};
  // Absent where they choose nothing, as in datasets that were made before there were any.
  if (options.selection_fraction > 0) identity["selection_fraction"] = options.selection_fraction;
  if (options.sample < 1) identity["sample"] = options.sample;
  if (options.keep_untagged) identity["keep_untagged"] = true;
  return identity;
}

/// Returns whether the folder holds an ingest that failed, for example by a mistaken option,
/// without making a dataset: a corrected command may replace it. False for an interrupted one.
bool only_a_failure_is_in(const fs::path& out) {
  const fs::path record = out / "stage.json";
  if (!path_exists(record) || path_exists(out / "dataset.json")) return false;
  if (IngestWork::exists(out) && !IngestWork::has_failed(out)) return false;
  const Json stage = read_stage_record(record);
  return stage.value("command", "") == command_name && !stage.value("done", true);
}

/// Returns whether the folder's record is of these inputs. A different list of inputs is then one
/// that --force had not yet removed when it was killed.
bool is_recorded(const fs::path& out, const std::string& inputs) {
  const fs::path record = out / "stage.json";
  if (!path_exists(record)) return false;
  const Json stage = read_stage_record(record);
  const Json& before = json_object(stage, "inputs", record.string());
  return json_get_or(before, "inputs", std::string(), record.string()) == sha256_hex(inputs);
}

void refuse_other_inputs(const fs::path& out, const std::string& inputs) {
  const fs::path file = out / inputs_name;
  if (!path_exists(file) || is_recorded(out, inputs)) return;
  const auto differences = differences_of_inputs(read_file(file), inputs);
  if (differences.empty()) return;
  fail_usage("{}: made from other sources; choose another --out, or --force to redo it:{}",
             out.string(), indented_list(differences));
}

/// Returns whether items were rejected that --retry-failed would read again.
bool has_failures(const Json& results, const std::string& where) {
  for (const auto& [split, entry] : json_object(results, "splits", where).items()) {
    for (const auto& [name, count] : json_object(entry, "rejected", where).items()) {
      const auto* const known = std::ranges::find(rejection_names, name);
      const auto reason = static_cast<Rejection>(known - rejection_names.begin());
      if (known != rejection_names.end() && is_unreadable(reason) && count != 0) return true;
    }
  }
  return false;
}

void warn_of_formats(const Json& counts, const fs::path& out) {
  const std::string name(name_of(Rejection::other_format));
  int64_t images = 0;
  for (const auto& [split, entry] : counts.at("splits").items()) {  // counts: this run's own
    images += entry.at("rejected").value(name, int64_t{0});
  }
  if (images == 0) return;
  log_warning("{} images are of formats that are not read (HEIC, SVG …), and are left out; see {}",
              images, (out / "rejected.jsonl").string());
}

}  // namespace

IngestResult ingest(const IngestOptions& options) {
  check(options);
  const StandardInput input(options);
  FoundSources found = find_sources(options, input);
  const auto& train_sources = found.sources;
  const auto& val_sources = found.found_val;
  const TagRules rules = load_tag_rules(options.stop_tags, options.merge_tags);
  const std::string inputs = list_inputs(train_sources, val_sources, options.source, input);
  std::vector<fs::path> reads = options.source.images;
  for (const auto& file :
       {options.source.label_names, options.stop_tags, options.merge_tags, options.vocabulary}) {
    reads.push_back(file);
  }
  for (const auto* sources : {&train_sources, &val_sources}) {
    for (const SourceSpec& source : *sources) {
      if (source.path != "-") reads.push_back(source.path);
    }
  }
  const bool free = options.force || only_a_failure_is_in(options.out);
  if (!free) refuse_other_inputs(options.out, inputs);

  const std::vector<std::string> outputs = {"dataset.json", "tags.tsv", "rejected.jsonl",
                                            "status.npy", inputs_name};
  std::vector<std::string> writes = outputs;
  writes.insert(writes.end(),
                {(IngestWork::folder_in({}) / "*").string(), "shards/*.tar", "shards/*.tar.part"});
  for (const char* split : split_names) {
    for (const auto& name : IndexWriter::file_names()) writes.push_back(split + ("/" + name));
  }
  Stage stage({.folder = options.out,
               .command = command_name,
               .inputs = identity_of(options, inputs),
               .force = free,
               .reads = std::move(reads),
               .writes = std::move(writes)});
  if (stage.done()) {
    const std::string where = (options.out / "stage.json").string();
    if (options.strict) {
      SourceReport before;
      before.passed_over = passed_over_from(stage.results(), where);
      before.refuse_passed_over();
    }
    if (!has_failures(stage.results(), where)) {        // else it is kept, see below
      remove_tree(IngestWork::folder_in(options.out));  // which a killed process may have left
      return {true, stage.results()};
    }
    if (!options.retry_failed || !IngestWork::exists(options.out)) return {true, stage.results()};
    stage.reopen();
  }
  write_file_atomic(options.out / inputs_name, inputs);
  Json counts;
  bool failures = false;
  {
    IngestWork work(options.out, options.shard_bytes, stage.identity());
    if (options.retry_failed) work.begin_retry();
    IngestReader reader(options, rules, work, input.file(), train_sources, val_sources,
                        std::move(found.report));
    reader.read();
    reader.check_sources();
    counts = write_index(options, work);
    counts["passed_over"] = to_json(reader.passed_over());
    failures = work.has_failures();
  }
  warn_of_formats(counts, options.out);
  stage.finish(outputs, counts);
  // Keep the work if there are items that can be tried again.
  if (!failures) remove_tree(IngestWork::folder_in(options.out));
  return {false, counts};
}

}  // namespace hardmoe
