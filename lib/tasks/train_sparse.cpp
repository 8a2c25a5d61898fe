#include "tasks/train_sparse.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "nn/architecture.h"
#include "nn/sparse_resnet.h"
#include "tasks/train_network.h"

namespace hardmoe {

ModelConfig sparse_model(const Config& config) {
  const SparseConfig& layer = config.sparse.layer;
  if (layer.kind == SparseKind::none) {
    fail_usage(
        "sparse.layer.kind: none has no layers of experts; name a kind, or train the network with "
        "moe-train-base");
  }
  ModelConfig model = config.model;
  SparseConfig used = layer;
  const std::vector<std::string> unused = drop_unused(used);
  if (!unused.empty()) {
    log_warning(
        "sparse.layer: left out, as layers of this kind and constraint have no such thing: {}",
        join(unused, ", "));
  }
  model.sparse = with_defaults(used);
  check_layers(model);
  if (model.sparse.kind != SparseKind::vmoe && model.sparse.expert_channels.empty()) {
    // What the chosen experts cost is settled now: a model may be asked with another number of them.
    for (const double stage : model.sparse.stages) {
      model.sparse.expert_channels.push_back(
          matched_channels(model, static_cast<int>(stage), model.sparse.chosen));
    }
  }
  return model;
}

std::string train_sparse(const TrainSparseTask& task, Config& config) {
  const SparseTrainConfig& settings = config.sparse;
  check_sparse_config(settings);
  if (settings.layer.chosen == 1 && settings.layer.kind != SparseKind::vmoe) {
    log_warning(
        "sparse.layer.chosen: the gate of a single expert is always 1, so that the gate learns "
        "nothing of the tags; choose 2 or more (moe-eval --chosen 1 asks a trained model for one)");
  }
  return train_network({"moe-train-sparse", "sparse", task.dataset, task.out, task.force,
                        sparse_model(config), settings, settings.init, settings.judging},
                       config);
}

}  // namespace hardmoe
