#include "tasks/networks.h"

#include "base/error.h"
#include "base/folders.h"
#include "base/stage.h"
#include "base/text.h"
#include "moe/router.h"

namespace hardmoe {
namespace fs = std::filesystem;

void NetworkFolders::set_models(const std::vector<std::string>& models) {
  if (models.empty()) return;
  model = models.front();
  others.assign(models.begin() + 1, models.end());
}

bool NetworkFolders::is_mixture() const {
  if (!model.empty()) return false;
  std::vector<std::string> missing;
  if (base.empty()) missing.emplace_back("--base");
  if (partition.empty()) missing.emplace_back("--partition");
  if (experts.empty()) missing.emplace_back("--experts");
  if (missing.size() == 3) {
    fail_usage("give --model DIR, or --base, --partition and --experts; see --help");
  }
  if (!missing.empty()) fail_usage("a mixture needs {}, too; see --help", join(missing, " and "));
  if (sparse.is_set()) {
    fail_usage(
        "{}: is of models of moe-train-sparse, and these folders are a mixture's; leave it out",
        sparse.option());
  }
  return true;
}

Model load_changed_model(const fs::path& folder, const SparseOverride& by) {
  Model model = load_model(folder);
  try {
    model.card.model.sparse = changed(model.card.model.sparse, by);
  } catch (const Error& error) {
    fail_usage("{}: {}", folder.string(), error.what());
  }
  return model;
}

Precision training_precision(const NetworkFolders& networks, const Config& config) {
  if (networks.is_mixture()) return config.expert.precision;
  const fs::path folder = networks.model;
  const bool sparse = path_exists(folder / "model.yaml") &&
                      load_model_card(folder).model.sparse.kind != SparseKind::none;
  return sparse ? config.sparse.precision : config.base.precision;
}

void add_identity(const SparseOverride& by, Json& inputs) {
  if (by.chosen) inputs["chosen"] = *by.chosen;
  if (by.capacity) inputs["capacity"] = *by.capacity;
  if (by.priority) inputs["priority"] = *by.priority;
}

OtherRouting open_routing(const NetworkFolders& networks, bool use_prices, const Split& split,
                          Mixture& mixture) {
  OtherRouting routing;
  if (networks.router.empty()) {
    routing.external = find_routing_features(mixture, networks.partition, networks.features, split);
    if (routing.external) routing.identity["features"] = routing.external->identity["embedding"];
    return routing;
  }
  if (!use_prices) {
    fail_usage("eval.use_prices: a router learned the experts with prices; leave it true");
  }
  mixture.router = open_router(networks.router, networks.partition, networks.base);
  routing.identity["router"] = stage_fingerprint(networks.router, "moe-train-router");
  return routing;
}

Partition open_partition(const fs::path& partition, const fs::path& base, const Dataset& dataset) {
  require_partition_of(partition, base, dataset.fingerprint());
  Partition opened = load_partition(partition);
  const int64_t images = dataset.split("train").size();
  if (std::ssize(opened.assignment) != images) {
    fail_usage(
        "{}: assigns {} images, the training split of {} has {}; partition this dataset's "
        "embedding",
        partition.string(), opened.assignment.size(), dataset.folder().string(), images);
  }
  return opened;
}

void require_trained_on(const Mixture& mixture, const fs::path& experts, const Dataset& dataset) {
  if (mixture.dataset == dataset.fingerprint()) return;
  fail_usage("{}: trained on another dataset than {}; give the one they were trained on",
             experts.string(), dataset.folder().string());
}

void check_experts_folder(const fs::path& experts) {
  if (!path_exists(experts / "model.yaml")) return;
  fs::path folder = experts.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // experts/0/
  const std::string all = folder.has_parent_path() ? folder.parent_path().string() : ".";
  fail_usage(
      "--experts {}: is the folder of one model; give the folder that holds all experts' folders "
      "0, 1, …, perhaps {}",
      experts.string(), all);
}

std::vector<fs::path> paths_read(const fs::path& dataset, const NetworkFolders& networks,
                                 const std::optional<EmbeddingInput>& external) {
  std::vector<fs::path> paths = {dataset,          networks.model,
                                 networks.base,    networks.partition,
                                 networks.experts, networks.router};
  paths.insert(paths.end(), networks.others.begin(), networks.others.end());
  if (external) paths.insert(paths.end(), external->files.begin(), external->files.end());
  return paths;
}

}  // namespace hardmoe
