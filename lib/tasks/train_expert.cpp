#include "tasks/train_expert.h"

#include <charconv>
#include <optional>

#include "engine/network_facts.h"
#include "moe/routing.h"
#include "tasks/expert_images.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/inference.h"

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

/// Opens the partition. Throws Error(usage) unless it is of the base and the training images.
Partition open_partition(const TrainExpertTask& task, const Dataset& dataset, const Split& split) {
  if (task.partition.empty()) fail_usage("--expert {} needs --partition DIR", task.expert);
  require_partition_of(task.partition, task.base, dataset.fingerprint());
  Partition partition = load_partition(task.partition);
  if (std::ssize(partition.assignment) != split.size()) {
    fail_usage(
        "{}: assigns {} images, the training split of {} has {}; partition this dataset's "
        "embedding",
        task.partition, partition.assignment.size(), task.dataset, split.size());
  }
  return partition;
}

/// Returns the images in the part of expert `number`.
std::vector<int64_t> items_of_expert(const TrainExpertTask& task, size_t number,
                                     const Partition& partition) {
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

/// Throws Error(usage) if the gater routes by an embedding that the base cannot compute.
void check_selection_features(const TrainExpertTask& task) {
  if (!is_external_embedding(stage_inputs(task.partition, "moe-partition"))) return;
  fail_usage(
      "expert.patience: {} was made of an external embedding, by which the images of split "
      "'selection' cannot be routed; set expert.patience to 0",
      task.partition);
}

}  // namespace

std::string train_expert(const TrainExpertTask& task, Config& config) {
  check_expert_config(config.expert);
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  Model start = load_model(task.base);
  require_vocabulary(start.card, task.base, dataset);
  const Split& split = dataset.split("train");
  const bool of_all = task.expert == "all";

  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"base", base_fingerprint(task.base)},
                 {"number", task.expert},
                 {"seed", config.seed},
                 {"start", config.expert.start == ExpertStart::base ? "base" : "scratch"},
                 {"expert", training_inputs(config.expert)}};
  inputs["expert"].update(expert_inputs(config.expert, !of_all));
  std::vector<int64_t> items;
  std::optional<Partition> partition;
  std::optional<PartExpert> part;
  std::optional<EmbeddingInput> embedding;
  uint64_t of_seed = 0;  // 0 for all, k+1 for expert k
  if (!of_all) {
    const size_t number = expert_number(task.expert);
    partition = open_partition(task, dataset, split);
    items = items_of_expert(task, number, *partition);
    part.emplace(PartExpert{task, config.expert, *partition, static_cast<int64_t>(number)});
    embedding = find_embedding_for(*part);
    // Only this part's images count, so that an expert stays valid if only other parts change.
    inputs["images"] = fingerprint_of_items(items);
    if (embedding || config.expert.patience > 0) {  // or these, if it sees others' images
      inputs["gater"] = sha256_of_file(std::filesystem::path(task.partition) / "gater.safetensors");
    }
    of_seed = number + 1;
  } else if (!task.partition.empty()) {
    fail_usage("--expert all trains on every image; leave --partition {} out", task.partition);
  }
  const uint64_t seed = config.seed + 1000 * (of_seed + 1);
  ImageTraining job{split, std::move(items),    std::move(start), config.expert, "expert",
                    seed,  dataset.vocabulary()};
  if (part && config.expert.lr_by_size) {
    const double factor = lr_factor(std::ssize(job.items), split.size(), partition->gater.experts);
    job.config.lr *= factor;
    inputs["expert"]["lr_by_size"] = factor;
  }
  if (part && config.expert.epochs_of == EpochsOf::dataset) job.epochs_of_images = split.size();
  if (config.expert.patience > 0) {
    job.patience = config.expert.patience;
    job.selection = &require_selection_split(dataset, "expert");
    if (part) check_selection_features(task);
    if (part) inputs["expert"]["use_prices"] = config.eval.use_prices;
  }
  check_image_training(*engine, job);
  std::vector<std::filesystem::path> reads = {task.dataset, task.base, task.partition};
  reads.insert(reads.end(), task.embedding.begin(), task.embedding.end());
  Stage stage({task.out, "moe-train-expert", inputs, task.force, reads, model_stage_files()});
  if (stage.done()) return results_of_done(stage);
  // A run that has run.features passes them itself.
  if (part && config.run.features.empty()) warn_of_external_embedding(task.partition, task.base);
  write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
  if (part) add_images_of_others(*part, embedding, job);
  if (job.patience > 0 && !part) job.selection_items = all_items(*job.selection);
  if (job.patience > 0 && part) {
    const Precision precision = inference_precision(config.embed.precision, config.base.precision);
    require_precision(*engine, precision);
    route_selection(*part, job.start, precision, config.eval.use_prices, *engine, job);
  }
  if (config.expert.start == ExpertStart::scratch) {
    const ModelCard& card = job.start.card;
    job.start.weights = initial_weights(resnet(card.model, card.tags), seed);
  }
  return result_line(train_stage(stage, *engine, job));
}

}  // namespace hardmoe
