#include "tasks/train_router.h"

#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "data/selection.h"
#include "engine/network_facts.h"
#include "moe/mixture.h"
#include "moe/router.h"
#include "tasks/networks.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace {

/// Throws Error(usage) if there is nothing to learn.
Partition open_learnable_partition(const TrainRouterTask& task, const Dataset& dataset) {
  Partition partition = open_partition(task.partition, task.base, dataset);
  if (partition.gater.kind == PartitionMethod::random || partition.gater.experts < 2) {
    fail_usage("{}: {}, so that there is nothing for a router to learn", task.partition,
               partition.gater.experts < 2 ? "has one expert" : "divides the images at random");
  }
  return partition;
}

/// Adds to the results how often the router chooses the partition's expert, on images it has not
/// seen.
void add_agreement(const TrainRouterTask& task, const Dataset& dataset, const Partition& partition,
                   const Model& base, const Model& router, Engine& engine, Precision precision,
                   Json& results) {
  results["split"] = nullptr;
  results["agreement"] = nullptr;
  const char* name = dataset.has_split(selection_split) ? selection_split : "val";
  const bool external = is_external_embedding(stage_inputs(task.partition, "moe-partition"));
  if (external || !dataset.has_split(name) || dataset.split(name).size() == 0) return;
  const Split& split = dataset.split(name);
  const auto found = choices_of_router(engine, router, split, 1, precision).expert;
  Inference inference(engine, resnet(base.card.model, 0), base.card.model.image_size, precision);
  inference.load(base.weights, task.base);
  const Tensor features = embed(inference, split, all_items(split));
  const auto expected = partition.gater.route(matrix_view(features));
  int64_t same = 0;
  for (size_t i = 0; i < found.size(); ++i) same += found[i] == expected[i] ? 1 : 0;
  results["split"] = name;
  results["agreement"] = static_cast<double>(same) / static_cast<double>(found.size());
}

}  // namespace

std::string train_router(const TrainRouterTask& task, Config& config) {
  const RouterConfig& settings = config.router;
  check_router_config(settings);
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  const Model base = load_model(task.base);
  const Partition partition = open_learnable_partition(task, dataset);
  const int64_t experts = partition.gater.experts;
  const Vocabulary vocabulary = experts_as_tags(partition.sizes);
  ModelCard card{
      router_model(base.card.model, settings.depth, settings.width, settings.image_size, experts),
      experts, vocabulary_hash(vocabulary)};
  const Network network = resnet(card.model, card.tags);
  ImageTraining job{
      dataset.split("train"), {}, {card, {}}, settings, "router", config.seed, vocabulary};
  job.labels = partition.assignment;
  check_image_training(*engine, job);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"base", base_fingerprint(task.base)},
                 {"partition", stage_fingerprint(task.partition, "moe-partition")},
                 {"seed", config.seed},
                 {"model", config_json(fields_of(card.model))},
                 {"router", training_inputs(settings)}};
  std::optional<EarlierWeights> earlier;
  if (!settings.init.empty()) {
    earlier = read_earlier_weights(settings.init, card.model);
    inputs["init"] = earlier->identity;
  }
  Stage stage({task.out,
               "moe-train-router",
               inputs,
               task.force,
               {task.dataset, task.base, task.partition, settings.init},
               model_stage_files()});
  if (stage.done()) return results_of_done(stage);
  const double share = share_of_base(card.model, experts, base.card.model);
  if (share > router_share) {
    log_warning(
        "{}: an image takes {:.0f}% of the base's FLOPs, more than {:.0f}%; lower "
        "router.width or router.image_size",
        task.out, 100 * share, 100 * router_share);
  }
  write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
  job.start.weights = initial_weights(network, config.seed);
  if (earlier) {
    if (!earlier->warning.empty()) log_warning("{}", earlier->warning);
    log_info("{}: {}", task.out, begin_with(*earlier, vocabulary, job.start.weights));
  }
  Json results = train_model(stage, *engine, job);
  results["flops_per_image"] = flops_per_image(network);
  results["share_of_base"] = share;
  card.loss = settings.loss;
  const Model router{card, load_safetensors(stage.folder() / "model.safetensors")};
  add_agreement(task, dataset, partition, base, router, *engine, settings.precision, results);
  finish_model_stage(stage, results);
  return result_line(results);
}

}  // namespace hardmoe
