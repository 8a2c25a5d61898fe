#include "tasks/train_expert.h"

#include <charconv>

#include "engine/network_facts.h"
#include "moe/routing.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/schedule.h"

namespace hardmoe {
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

/// Returns the settings that keep an expert near its base, of those that are on.
Json nearness_inputs(const ExpertConfig& config) {
  Json inputs = Json::object();
  if (config.distill > 0) {
    inputs["distill"] = {{"weight", config.distill}, {"temperature", config.distill_temperature}};
  }
  if (config.pull > 0) inputs["pull"] = config.pull;
  if (!config.slow.empty())
    inputs["slow"] = {{"names", config.slow}, {"factor", config.slow_factor}};
  return inputs;
}

/// Throws Error(usage) if the expert is to learn scores of another kind than its teacher's.
void check_teacher(const ExpertConfig& config, const ModelCard& base) {
  if (config.distill == 0 || config.loss == base.loss) return;
  fail_usage(
      "expert.distill: the base's scores were trained by loss: {}, the expert's are by loss: {}; "
      "set expert.loss to the base's, or expert.distill to 0",
      loss_names[static_cast<size_t>(base.loss)], loss_names[static_cast<size_t>(config.loss)]);
}

}  // namespace

std::string train_expert(const TrainExpertTask& task, Config& config) {
  check_train_config(config.expert, "expert");
  check_nearness(config.expert);
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
  inputs.update(nearness_inputs(config.expert));
  check_teacher(config.expert, start.card);
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
  if (config.expert.distill > 0) {
    job.teacher = {job.start, config.expert.distill, config.expert.distill_temperature};
  }
  check_image_training(*engine, job);
  Stage stage({task.out,
               "moe-train-expert",
               inputs,
               task.force,
               {task.dataset, task.base, task.partition},
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
