#include "search/source.h"

#include <algorithm>

#include "base/config.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/stage.h"
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

/// Returns the dataset of the run's configuration. Throws Error(usage) if moe-run did not make it.
std::string dataset_of(const fs::path& run, const FoundNetworks& found) {
  const fs::path folder = found.row.empty() || !found.pack.empty() ? "" : run_folder_of(run);
  if (folder.empty()) {
    fail_usage("--dataset: {} does not tell which images are to be searched; name their dataset",
               run.string());
  }
  Config config;
  load_yaml(folder / "config.yaml", fields_of(config));
  std::string dataset = dataset_folder(config, folder);
  if (!path_exists(fs::path(dataset) / "dataset.json")) {
    fail_usage(
        "{}: its dataset, {}, is not there, as seen from this folder; name where it is as "
        "--dataset",
        run.string(), dataset);
  }
  return dataset;
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

/// Returns the folder of the rows that were computed when the row's networks were trained. Throws
/// Error(usage) if there are none.
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

/// Returns what shapes the rows that the opened networks give: their fingerprints, and by name what
/// else a row depends on.
Json identity_of(const NetworkFolders& networks, const OpenedNetworks& opened) {
  if (!opened.mixture) return {{"model", model_hash(networks.model)}};
  const Mixture& mixture = *opened.mixture;
  Json identity = mixture_identity(mixture, networks.base, networks.partition);
  identity["mixture.embedding"] = embedding_kinds[static_cast<size_t>(mixture.embedding)];
  if (mixture.embedding == EmbeddingKind::blend) {
    identity["mixture.base_share"] = mixture.embedding_share;
  }
  identity["router"] = networks.router.empty()
                           ? std::string()
                           : stage_fingerprint(networks.router, "moe-train-router");
  identity["eval.use_prices"] = opened.answer.use_prices;
  return identity;
}

/// Returns the same of the networks that made an embedding, by its stage's record. What that does not
/// say and could not be otherwise is as `expected`.
Json recorded_identity(const fs::path& embedding, const Json& record, const Json& expected) {
  const Json inputs = record.value("inputs", Json::object());
  Json identity = inputs;
  identity["mixture.embedding"] = inputs.value("embedding", Json(embedding_kinds[0]));
  identity["router"] = inputs.value("router", Json(""));
  if (record.value("command", "") == "moe-embed") {
    identity["mixture.base_share"] = inputs.value("base_share", Json());
    identity["eval.use_prices"] = inputs.value("use_prices", Json());
    return identity;
  }
  // A decoder's rows: its inputs have the share that was asked for, which may be "fit it". Its
  // training images' experts are those of the partition, whatever routes others.
  if (path_exists(embedding / decoder_card_name)) {
    identity["mixture.base_share"] = load_decoder_card(embedding).base_share;
  }
  const Json routed = expected.value("eval.use_prices", Json());
  identity["eval.use_prices"] =
      inputs.contains("split") ? inputs.value("use_prices", routed) : routed;
  return identity;
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
  const fs::path file = fs::path(source.embedding) / "stage.json";
  if (!path_exists(file)) return;
  const Json expected = identity_of(source.networks.networks, opened);
  const Json found = recorded_identity(source.embedding, read_stage_record(file), expected);
  const NetworkFolders& networks = source.networks.networks;
  for (const auto& [key, value] : expected.items()) {
    if (found.value(key, Json()) == value) continue;
    fail_usage(
        "{}: was embedded by other networks than those of {}{}, so that its rows and an image's "
        "lie in different spaces ({} differs); name its own networks, or embed again: moe-embed {} "
        "{} --out EMBEDDING",
        source.embedding, networks.model.empty() ? networks.experts : networks.model,
        source.networks.row.empty() ? "" : fmt::format(" (row {})", source.networks.row), key,
        source.dataset, embed_options(source.networks));
  }
}

}  // namespace hardmoe
