#include "tasks/train_expert.h"

#include <charconv>

#include "engine/network_facts.h"
#include "moe/routing.h"
#include "tasks/networks.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/schedule.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns the number in `text`. Throws Error(usage) unless it is 0 or more.
size_t expert_number(const std::string& text) {
  size_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) {
    fail_usage("--expert: expected a number from 0 or 'all', found '{}'", text);
  }
  return number;
}

/// Returns the images in the part of expert `number`.
std::vector<int64_t> items_of_expert(const TrainExpertTask& task, size_t number,
                                     const Dataset& dataset, const Split& split) {
  if (task.partition.empty()) fail_usage("--expert {} needs --partition DIR", task.expert);
  require_partition_of(task.partition, task.base, dataset.fingerprint());
  const Partition partition = load_partition(task.partition);
  if (std::ssize(partition.assignment) != split.size()) {
    fail_usage(
        "{}: assigns {} images, the training split of {} has {}; partition this dataset's "
        "embedding",
        task.partition, partition.assignment.size(), task.dataset, split.size());
  }
  auto parts = items_by_expert(partition.assignment, partition.gater.experts);
  if (number >= parts.size()) {
    fail_usage("--expert {}: the partition {} has experts 0 to {}", task.expert, task.partition,
               parts.size() - 1);
  }
  if (parts[number].empty()) {
    fail("expert {}: has no images in {}; partition again with fewer experts", number,
         task.partition);
  }
  return std::move(parts[number]);
}

/// Returns the folder in which the expert of an earlier partition with this one's number is.
fs::path earlier_expert(const TrainExpertTask& task, const std::string& experts) {
  if (task.expert == "all") {
    fail_usage("--init {}: experts' folders have no 'all'; leave it out", experts);
  }
  check_experts_folder(experts);
  return fs::path(experts) / std::to_string(expert_number(task.expert));
}

/// Replaces the weights by those of the model in `folder`. Throws Error(usage) unless it is the
/// same network over the same tags.
void take_weights(const fs::path& folder, Model& start) {
  Model earlier = load_model(folder);
  if (!is_same_network(earlier.card, start.card)) {
    fail_usage(
        "{}: is another network than the base, or one of other tags; experts begin with "
        "experts of their own base",
        folder.string());
  }
  start.weights = std::move(earlier.weights);
}

}  // namespace

std::string train_expert(const TrainExpertTask& task, Config& config) {
  check_train_config(config.expert, "expert");
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  Model start = load_model(task.base);
  require_vocabulary(start.card, task.base, dataset);
  const Split& split = dataset.split("train");

  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"base", base_fingerprint(task.base)},
                 {"number", task.expert},
                 {"seed", config.seed},
                 {"start", config.expert.start == ExpertStart::base ? "base" : "scratch"},
                 {"expert", training_inputs(config.expert)}};
  const std::string& init = config.expert.init;
  if (!init.empty()) {
    if (config.expert.start == ExpertStart::scratch) {
      fail_usage("--init {}: with --start scratch an expert begins with fresh weights; give one",
                 init);
    }
    take_weights(earlier_expert(task, init), start);
    inputs["init"] = model_hash(earlier_expert(task, init));
  }
  std::vector<int64_t> items;
  uint64_t of_seed = 0;  // 0 for all, k+1 for expert k
  if (task.expert != "all") {
    const size_t number = expert_number(task.expert);
    items = items_of_expert(task, number, dataset, split);
    // Only this part's images count, so that an expert stays valid if only other parts change.
    inputs["images"] = fingerprint_of_items(items);
    of_seed = number + 1;
  } else if (!task.partition.empty()) {
    fail_usage("--expert all trains on every image; leave --partition {} out", task.partition);
  }
  const uint64_t seed = config.seed + 1000 * (of_seed + 1);
  ImageTraining job{split, std::move(items),    std::move(start), config.expert, "expert",
                    seed,  dataset.vocabulary()};
  check_image_training(*engine, job);
  Stage stage({task.out,
               "moe-train-expert",
               inputs,
               task.force,
               {task.dataset, task.base, task.partition, init},
               model_stage_files()});
  if (stage.done()) return results_of_done(stage);
  // A run that has run.features passes them itself.
  if (task.expert != "all" && config.run.features.empty()) {
    warn_of_external_embedding(task.partition, task.base);
  }
  write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
  if (config.expert.start == ExpertStart::scratch) {
    const ModelCard& card = job.start.card;
    job.start.weights = initial_weights(resnet(card.model, card.tags), seed);
  }
  return result_line(train_stage(stage, *engine, job));
}

}  // namespace hardmoe
