#include "tasks/pack.h"

#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "tasks/opened_networks.h"
#include "tasks/pack_readme.h"
#include "tasks/results.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* record_name = "stage.json";
constexpr const char* readme_name = "README.md";

const std::vector<std::string> model_files = {"model.safetensors", "model.yaml", model_tags_name};
const std::vector<std::string> partition_names = {"assignment.npy", "gater.safetensors",
                                                  "partition.json"};
const std::vector<std::string> decoder_files = {decoder_weights_name, decoder_card_name,
                                                model_tags_name};

/// A folder that is copied.
struct PackedPart {
  fs::path from;
  std::string to;  ///< in the pack
  const std::vector<std::string>& files;
};

std::vector<PackedPart> parts_of(const FoundNetworks& found, size_t experts) {
  const NetworkFolders& networks = found.networks;
  std::vector<PackedPart> parts = {{networks.base, "base", model_files},
                                   {networks.partition, "partition", partition_names}};
  for (size_t k = 0; k < experts; ++k) {
    const std::string number = std::to_string(k);
    parts.push_back({fs::path(networks.experts) / number, "experts/" + number, model_files});
  }
  if (!found.decoder.empty()) parts.push_back({found.decoder, "decoder", decoder_files});
  if (!networks.router.empty()) parts.push_back({networks.router, "router", model_files});
  return parts;
}

/// Returns what others read of a stage's record: nothing that tells when, where and how fast it was
/// made, so that equal networks are equal packs.
Json packed_record(const fs::path& stage) {
  const Json record = read_stage_record(stage / record_name);
  Json kept = Json::object();
  for (const char* key : {"format", "command", "version", "inputs", "done", "outputs", "crc32c"}) {
    if (record.contains(key)) kept[key] = record[key];
  }
  kept["results"] = Json::object();
  return kept;
}

/// Copies a part; returns its files' names in the pack.
std::vector<std::string> copy_part(const PackedPart& part, const fs::path& pack) {
  const fs::path to = pack / part.to;
  const Json record = packed_record(part.from);
  make_folders(to);
  write_json(to / record_name, record);
  std::vector<std::string> names = {part.to + "/" + record_name};
  for (const std::string& name : part.files) {
    const fs::path file = part.from / name;
    if (!path_exists(file)) {
      if (!record.value("outputs", Json::object()).contains(name)) continue;  // of earlier versions
      fail("{}: missing, though {} lists it; make it again, or copy the folder again",
           file.string(), (part.from / record_name).string());
    }
    require_as_recorded(file);
    copy_file_atomic(file, to / name);
    names.push_back(part.to + "/" + name);
  }
  return names;
}

MixtureCard card_of(const FoundNetworks& found, const OpenedNetworks& opened) {
  MixtureCard card;
  card.row = found.row;
  card.experts = opened.mixture->partition.gater.experts;
  card.tags = opened.mixture->base.card.tags;
  card.shared_decoder = !found.decoder.empty();
  card.router = !found.networks.router.empty();
  card.answer = opened.answer;
  return card;
}

Json inputs_of(const FoundNetworks& found, const OpenedNetworks& opened, MixtureCard card) {
  Json inputs = mixture_identity(*opened.mixture, found.networks.base, found.networks.partition);
  if (card.shared_decoder) inputs["decoder"] = decoder_fingerprint(found.decoder);
  if (card.router) inputs["router"] = stage_fingerprint(found.networks.router, "moe-train-router");
  inputs["mixture"] = config_json(fields_of(card));
  return inputs;
}

}  // namespace

std::string pack_mixture(const PackTask& task) {
  const FoundNetworks found = find_networks(task.run, task.row);
  if (!found.networks.is_mixture()) {
    fail_usage("{}: is one network, whose folder stands alone already: copy its {} and {}",
               found.networks.model, join(model_files, ", "), record_name);
  }
  const OpenedNetworks opened = open_networks(found);
  const MixtureCard card = card_of(found, opened);
  std::vector<std::string> writes = {readme_name, model_tags_name, mixture_card_name};
  for (const char* folder : {"base", "partition", "experts/*", "decoder", "router"}) {
    writes.push_back(std::string(folder) + "/*");
  }
  const NetworkFolders& networks = found.networks;
  Stage stage(
      {task.out,
       "moe-pack",
       inputs_of(found, opened, card),
       task.force,
       {networks.base, networks.partition, networks.experts, found.decoder, networks.router},
       writes});
  if (stage.done()) return results_of_done(stage);
  std::vector<std::string> names = {readme_name, model_tags_name, mixture_card_name};
  for (const PackedPart& part : parts_of(found, opened.mixture->experts.size())) {
    log_info("packing {}", part.to);
    const auto copied = copy_part(part, stage.folder());
    names.insert(names.end(), copied.begin(), copied.end());
  }
  save_vocabulary(stage.folder() / model_tags_name, opened.vocabulary);
  write_file_atomic(stage.folder() / readme_name, pack_readme(card, opened));
  save_mixture_card(stage.folder(), card);
  int64_t bytes = 0;
  for (const std::string& name : names) {
    bytes += static_cast<int64_t>(file_size_of(stage.folder() / name));
  }
  stage.finish(names, {{"row", card.row},
                       {"experts", card.experts},
                       {"tags", card.tags},
                       {"files", names.size()},
                       {"bytes", bytes}});
  static_cast<void>(open_networks(find_networks(stage.folder())));
  return result_line(stage.results());
}

}  // namespace hardmoe
