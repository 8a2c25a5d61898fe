// What people and other programs write for the commands: configurations, rules about tags, WordNet.
#include <algorithm>
#include <array>

#include "base/config.h"
#include "base/files.h"
#include "base/folders.h"
#include "data/dataset.h"
#include "fuzz/input_files.h"
#include "fuzz/targets.h"
#include "ingest/ingest_config.h"
#include "ingest/vocabulary.h"
#include "ingest/wordnet.h"
#include "nn/model_config.h"

namespace hardmoe {
namespace {

/// Sections with every type of field.
struct Settings {
  IngestConfig ingest;
  ModelConfig model;
  ImageInput input;
  void describe(Fields& f) {
    f.add_section("ingest", ingest, "a section");
    ModelSettings all{model};
    f.add_section("model", all, "another");
    f.add_section("input", input, "and another");
  }

 private:
  struct ModelSettings {
    ModelConfig& model;
    void describe(Fields& f) { model.describe_all(f); }
  };
};

}  // namespace

void fuzz_config(std::string_view bytes) {
  const auto file = file_of(bytes);
  yaml_text(file, "format");
  Settings settings;
  load_yaml(file, fields_of(settings));
  const std::string written = config_yaml(fields_of(settings));
  Settings again;
  load_yaml(file_of(written), fields_of(again));
  require(config_yaml(fields_of(again)) == written, "written and read again it differs");
  check_ingest_config(settings.ingest);
}

void fuzz_tag_rules(std::string_view bytes) {
  constexpr std::array<std::string_view, 3> names = {"stop.txt", "merge.tsv", "tags.tsv"};
  const auto folder = folder_of(bytes, names);
  if (path_exists(folder / "tags.tsv")) {
    or_refused([&] { load_vocabulary(folder / "tags.tsv"); });
  }
  const TagRules rules = load_tag_rules(folder / "stop.txt", folder / "merge.tsv");
  std::vector<std::string> tags;
  for (const auto& [from, to] : rules.merge) tags.insert(tags.end(), {from, to});
  for (const std::string& tag : clean_tags(tags, rules)) {
    require(!rules.stop.contains(tag) && !rules.merge.contains(tag), "a tag against the rules");
  }
}

void fuzz_wordnet(std::string_view bytes) {
  constexpr std::array<std::string_view, 2> names = {"data.noun", "index.noun"};
  const auto folder = folder_of(bytes, names);
  const WordNet wordnet(folder);
  const std::string nouns = read_file(folder / "data.noun");
  size_t at = 0;
  for (int lines = 0; lines < 100 && at < nouns.size(); ++lines) {
    or_refused([&] { wordnet.above(static_cast<int64_t>(at)); });
    or_refused([&] { wordnet.tags_of(fmt::format("n{:08}", at)); });
    at = std::min(nouns.find('\n', at), nouns.size()) + 1;
  }
  for (const char* word : {"dog", "cat", "a", "domestic dog", "zebra"}) wordnet.senses(word);
}

}  // namespace hardmoe
