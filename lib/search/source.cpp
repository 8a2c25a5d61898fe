#include "search/source.h"

#include <algorithm>

#include "base/config.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "run/pipeline.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* shared_row = "shared";

/// Returns the row that is meant where none is named: the one of the unified embedding.
std::string usual_row(const fs::path& run) {
  if (path_exists(run / mixture_card_name)) return {};
  const auto rows = rows_in(run);
  return std::ranges::find(rows, shared_row) == rows.end() ? std::string() : shared_row;
}

/// Returns the folder that moe-run made: `run`, or the one it is a seed's folder of; empty if it made
/// none.
fs::path folder_of_run(const fs::path& run) {
  const fs::path clean = fs::absolute(run / "").lexically_normal().parent_path();
  for (const fs::path& folder : {run, clean.parent_path()}) {
    const bool seed = clean.filename().string().starts_with("seed-");
    if ((folder == run || seed) && path_exists(folder / "config.yaml")) return folder;
  }
  return {};
}

/// Returns the data set of the run, if its configuration names one.
std::string dataset_of(const fs::path& run, const FoundNetworks& found) {
  const fs::path folder = found.row.empty() || !found.pack.empty() ? "" : folder_of_run(run);
  if (folder.empty()) {
    fail_usage("--dataset: {} does not tell which images are to be searched; name their dataset",
               run.string());
  }
  Config config;
  load_yaml(folder / "config.yaml", fields_of(config));
  return dataset_folder(config, folder);
}

/// Returns what moe-embed's command line says of the networks.
std::string embed_options(const FoundNetworks& found) {
  const NetworkFolders& networks = found.networks;
  if (!found.pack.empty()) return fmt::format("--model {}", found.pack);
  if (!networks.is_mixture()) return fmt::format("--model {}", networks.model);
  std::string options = fmt::format("--base {} --partition {} --experts {}", networks.base,
                                    networks.partition, networks.experts);
  if (!networks.router.empty()) options += fmt::format(" --router {}", networks.router);
  if (!found.decoder.empty()) options += fmt::format(" --decoder {}", found.decoder);
  return options;
}

/// Returns the folder of the rows that were computed when the row's networks were trained.
std::string embedding_of(const fs::path& run, const std::string& dataset,
                         const FoundNetworks& found) {
  const fs::path decoder = found.decoder, features = run / "embedding";
  for (const char* split : {"train.npy", "selection.npy"}) {
    if (!decoder.empty() && path_exists(decoder / split)) return decoder;
    if (found.row == "base" && path_exists(features / split)) return features;
  }
  fail_usage(
      "--embedding: {} has no rows of the images in this embedding; make them with moe-embed {} {} "
      "--split train --out EMBEDDING, and name that folder",
      run.string(), dataset, embed_options(found));
}

}  // namespace

SearchSource find_search_source(const SearchTask& task) {
  const fs::path run = task.run;
  SearchSource source;
  source.networks = find_networks(run, task.row.empty() ? usual_row(run) : task.row);
  source.dataset = task.dataset.empty() ? dataset_of(run, source.networks) : task.dataset;
  source.embedding =
      task.embedding.empty() ? embedding_of(run, source.dataset, source.networks) : task.embedding;
  return source;
}

void require_embedding_by(const SearchSource& source, const OpenedNetworks& opened) {
  const fs::path record = fs::path(source.embedding) / "stage.json";
  if (!path_exists(record)) return;
  const Json inputs = read_stage_record(record).value("inputs", Json::object());
  const NetworkFolders& networks = source.networks.networks;
  Json expected;
  if (opened.mixture) {
    expected = mixture_identity(*opened.mixture, networks.base, networks.partition);
    const auto kind = static_cast<size_t>(opened.mixture->embedding);
    if (inputs.value("embedding", embedding_kinds[0]) != embedding_kinds[kind]) {
      expected["embedding"] = embedding_kinds[kind];
    }
  } else {
    expected = {{"model", model_hash(networks.model)}};
  }
  for (const auto& [key, value] : expected.items()) {
    if (inputs.value(key, Json()) == value) continue;
    fail_usage(
        "{}: was embedded by other networks than those of {}{}, so that its rows and an image's "
        "lie "
        "in different spaces ({} differs); name its own networks, or embed again with moe-embed",
        source.embedding, networks.model.empty() ? networks.experts : networks.model,
        source.networks.row.empty() ? "" : fmt::format(" (row {})", source.networks.row), key);
  }
}

}  // namespace hardmoe
