#include "tasks/find_networks.h"

#include <algorithm>

#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/text.h"
#include "moe/mixture_card.h"
#include "tasks/controls.h"
#include "tasks/levers.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* own_mixture = "local";

/// Returns the folders of a row's networks in a run, whether they exist or not; none for a key that
/// no run has.
FoundNetworks folders_of_row(const fs::path& run, const std::string& row) {
  FoundNetworks found;
  found.row = row;
  NetworkFolders& networks = found.networks;
  const auto mixture = [&](const fs::path& partition, const fs::path& experts) {
    networks.base = run / "base";
    networks.partition = partition / "partition";
    networks.experts = experts / "experts";
  };
  const fs::path control = run / "controls" / row, lever = run / "levers" / row;
  if (row == "base" || row == control_name(Control::longer)) {
    networks.model = run / row;
  } else if (row == control_name(Control::wider)) {
    networks.model = control;
  } else if (row == own_mixture || row == "alone") {
    mixture(run, run);
  } else if (row == "shared") {
    mixture(run, run);
    found.decoder = run / "decoder";
  } else if (row == control_name(Control::random) || row == control_name(Control::top_tag)) {
    mixture(control, control);
  } else if (row == control_name(Control::steps)) {
    mixture(run, control);
  } else if (row == lever_name(Lever::router)) {
    mixture(run, run);
    networks.router = lever;
  } else if (row == lever_name(Lever::finetune)) {
    mixture(run, lever);
    found.decoder = lever / "decoder";
  } else if (row.starts_with(lever_name(Lever::reroute))) {
    mixture(lever, lever);
  }
  return found;
}

/// Returns the folders that hold a row's last results: where they are, the row was made.
bool is_there(const FoundNetworks& found) {
  const NetworkFolders& networks = found.networks;
  if (!networks.model.empty()) return path_exists(networks.model);
  const bool decoder = found.decoder.empty() || path_exists(found.decoder);
  const bool router = networks.router.empty() || path_exists(networks.router);
  return !networks.base.empty() && path_exists(networks.experts) &&
         path_exists(networks.partition) && decoder && router;
}

bool is_finished(const fs::path& stage) {
  const fs::path record = stage / "stage.json";
  return path_exists(record) && read_stage_record(record).value("done", false);
}

/// Returns how many experts a partition has.
int64_t expert_count(const fs::path& partition) {
  constexpr int64_t most = 65535;  // their numbers are uint16
  const fs::path file = partition / "partition.json";
  const auto experts = json_get<int64_t>(read_json(file), "experts", file.string());
  if (experts < 1 || experts > most) {
    fail("{}: field 'experts' is {}, expected 1 to {}; make the partition again", file.string(),
         experts, most);
  }
  return experts;
}

/// Returns the first of the stages that the networks take which is not done, from the run's folder;
/// empty if all are.
fs::path unfinished_stage(const fs::path& run, const FoundNetworks& found) {
  const NetworkFolders& networks = found.networks;
  std::vector<fs::path> stages;
  for (const std::string& folder :
       {networks.model, networks.base, networks.partition, networks.router, found.decoder}) {
    if (!folder.empty()) stages.emplace_back(folder);
  }
  if (!networks.partition.empty() && is_finished(networks.partition)) {
    const int64_t experts = expert_count(networks.partition);
    for (int64_t k = 0; k < experts; ++k) {
      stages.push_back(fs::path(networks.experts) / std::to_string(k));
    }
  }
  if (!run_folder_of(run).empty()) stages.push_back(run / "eval" / found.row);
  const auto unfinished = std::ranges::find_if_not(stages, is_finished);
  return unfinished == stages.end() ? fs::path() : unfinished->lexically_relative(run);
}

/// Throws Error unless all stages that the networks take are done.
void require_finished(const fs::path& run, const FoundNetworks& found) {
  const fs::path unfinished = unfinished_stage(run, found);
  if (unfinished.empty()) return;
  std::vector<std::string> finished = rows_in(run);
  std::erase_if(finished, [&](const std::string& row) {
    return !unfinished_stage(run, folders_of_row(run, row)).empty();
  });
  fail("{}: row {} is not finished, as {} is not done; {}{}", run.string(), found.row,
       unfinished.string(),
       run_folder_of(run).empty() ? "let its command go on first"
                                  : "run moe-run with the same --out again",
       finished.empty() ? ""
                        : ", or name a row of which all is done: --row " + join(finished, ", "));
}

/// Throws Error if the folder is a pack that was not written to its end, that lacks a file, or of
/// which a small one has changed. Larger ones are compared with their checksums where they are read.
void require_whole_pack(const fs::path& folder) {
  constexpr size_t small = 1 << 20;
  const fs::path record = folder / "stage.json";
  const bool has_card = path_exists(folder / mixture_card_name);
  if (has_card) static_cast<void>(load_mixture_card(folder));  // of a newer version: says so first
  if (!path_exists(record)) {
    if (!has_card) return;
    fail("{}: a packed mixture without its stage.json; copy all of it again", folder.string());
  }
  const Json stage = read_stage_record(record);
  if (stage.value("command", "") != "moe-pack") return;
  if (!stage.value("done", false)) {
    fail("{}: not finished; run the same `moe-pack` again to resume it", folder.string());
  }
  const auto outputs = json_get<Json>(stage, "outputs", record.string());
  for (const auto& [name, sha256] : outputs.items()) {
    const fs::path file = folder / name;
    if (file.extension() == ".md") continue;  // for people, who may write into it
    if (!path_exists(file)) {
      fail("{}: this packed mixture lacks {}; copy all of it again", folder.string(), name);
    }
    if (file_size_of(file) <= small && checksums_of_file(file).sha256 != sha256) {
      fail("{}: damaged or changed since moe-pack wrote it; copy the packed mixture again",
           file.string());
    }
  }
}

FoundNetworks find_in_pack(const fs::path& folder, const std::string& row) {
  const MixtureCard card = load_mixture_card(folder);
  if (!row.empty() && row != card.row) {
    fail_usage("{}: is a packed mixture, which has one row, {}; found --row {}", folder.string(),
               card.row, row);
  }
  FoundNetworks found;
  found.row = card.row;
  found.pack = folder;
  found.networks.base = folder / "base";
  found.networks.partition = folder / "partition";
  found.networks.experts = folder / "experts";
  if (card.router) found.networks.router = folder / "router";
  if (card.shared_decoder) found.decoder = folder / "decoder";
  return found;
}

FoundNetworks find_in_run(const fs::path& run, const std::string& row) {
  const auto rows = rows_in(run);
  FoundNetworks found = folders_of_row(run, row.empty() ? own_mixture : row);
  if (row.empty() ? rows.empty() : std::ranges::find(rows, row) == rows.end()) {
    const bool is_row = !found.networks.model.empty() || !found.networks.base.empty();
    fail_usage("{}: {}; it has networks of {}", run.string(),
               is_row ? fmt::format("row {} is not there (yet)", found.row)
                      : fmt::format("no run has a row '{}'", found.row),
               rows.empty() ? "none" : join(rows, ", "));
  }
  require_finished(run, found);
  if (is_finished(run / "eval" / found.row)) found.evaluation = run / "eval" / found.row;
  return found;
}

}  // namespace

fs::path run_folder_of(const fs::path& folder) {
  const fs::path clean = fs::absolute(folder / "").lexically_normal().parent_path();
  if (path_exists(clean / "config.yaml")) return folder;
  const bool seed = clean.filename().string().starts_with("seed-");
  return seed && path_exists(clean.parent_path() / "config.yaml") ? clean.parent_path() : "";
}

std::vector<std::string> rows_in(const fs::path& run) {
  std::vector<std::string> keys = {"base",
                                   control_name(Control::longer),
                                   control_name(Control::wider),
                                   control_name(Control::random),
                                   control_name(Control::top_tag),
                                   control_name(Control::steps),
                                   own_mixture};
  if (path_exists(run / "eval/alone")) keys.emplace_back("alone");
  keys.emplace_back("shared");
  const std::string reroute = lever_name(Lever::reroute);
  keys.push_back(reroute);
  for (int round = 2; path_exists(run / "levers" / fmt::format("{}-{}", reroute, round)); ++round) {
    keys.push_back(fmt::format("{}-{}", reroute, round));
  }
  keys.push_back(lever_name(Lever::router));
  keys.push_back(lever_name(Lever::finetune));
  std::erase_if(keys, [&](const std::string& key) { return !is_there(folders_of_row(run, key)); });
  return keys;
}

void open_pack(NetworkFolders& networks, std::string& decoder) {
  if (networks.model.empty() || !path_exists(fs::path(networks.model) / mixture_card_name)) return;
  if (!networks.others.empty()) {
    fail_usage("--model {}: is a packed mixture, which is not averaged with others; name it alone",
               networks.model);
  }
  const FoundNetworks found = find_networks(networks.model);
  const SparseOverride sparse = networks.sparse;
  networks = found.networks;
  networks.sparse = sparse;
  decoder = found.decoder;
}

FoundNetworks find_networks(const fs::path& folder, const std::string& row) {
  if (!is_folder(folder)) {
    fail_usage("{}: {}; expected first one of moe-run, a model's or a packed mixture",
               folder.string(), path_exists(folder) ? "is no folder" : "no such folder");
  }
  require_whole_pack(folder);
  if (path_exists(folder / mixture_card_name)) return find_in_pack(folder, row);
  if (path_exists(folder / "model.yaml")) {
    if (!row.empty()) {
      fail_usage("{}: is the folder of one model; --row names a row of a run's table",
                 folder.string());
    }
    FoundNetworks found;
    found.networks.model = folder;
    return found;
  }
  if (path_exists(folder / "base") || !run_folder_of(folder).empty()) {
    return find_in_run(folder, row);
  }
  fail_usage(
      "{}: holds no networks: neither a run (base, partition, experts), nor a model (model.yaml), "
      "nor a packed mixture ({}); give the --out of moe-run, moe-train-base, moe-train-sparse, "
      "moe-train-expert or moe-pack",
      folder.string(), mixture_card_name);
}

}  // namespace hardmoe
