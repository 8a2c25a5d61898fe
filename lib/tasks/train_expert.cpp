#include "tasks/train_expert.h"

#include <charconv>
#include <optional>

#include "data/selection.h"
#include "engine/network_facts.h"
#include "moe/routing.h"
#include "nn/architecture.h"
#include "tasks/expert_images.h"
#include "tasks/networks.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/inference.h"

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

/// Returns the folder in which the expert of an earlier partition with this one's number is.
fs::path earlier_expert(const TrainExpertTask& task, const std::string& experts) {
  if (task.expert == "all") {
    fail_usage("--init-experts {}: experts' folders have no 'all'; leave it out", experts);
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

/// What an expert of a part is trained from.
struct Part {
  int64_t number = 0;
  Partition partition;
  std::vector<int64_t> items;               ///< its images
  std::optional<EmbeddingInput> embedding;  ///< if it is needed
};

/// Opens the part; nothing for the expert of all images.
std::optional<Part> open_part(const TrainExpertTask& task, const ExpertConfig& config,
                              const Dataset& dataset) {
  if (task.expert == "all") {
    if (task.partition.empty()) return std::nullopt;
    fail_usage("--expert all trains on every image; leave --partition {} out", task.partition);
  }
  if (task.partition.empty()) fail_usage("--expert {} needs --partition DIR", task.expert);
  const size_t number = expert_number(task.expert);
  Part part{
      static_cast<int64_t>(number), open_partition(task.partition, task.base, dataset), {}, {}};
  part.items = items_of_expert(task, number, part.partition);
  part.embedding = find_embedding_for({task, config, part.partition, part.number});
  return part;
}

/// Returns the precision in which the base routes the images that an expert is judged by.
Precision routing_precision(const Config& config) {
  return inference_precision(config.embed.precision, config.base.precision);
}

/// Returns the stage's inputs.
Json inputs_of(const TrainExpertTask& task, const Config& config, const Dataset& dataset,
               const std::optional<Part>& part) {
  const ExpertConfig& expert = config.expert;
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"base", base_fingerprint(task.base)},
                 {"number", task.expert},
                 {"seed", config.seed},
                 {"start", expert.start == ExpertStart::base ? "base" : "scratch"},
                 {"expert", training_inputs(expert)}};
  inputs["expert"].update(expert_inputs(expert, part.has_value()));
  inputs.update(nearness_inputs(expert));
  if (!expert.init.empty()) inputs["init"] = model_hash(earlier_expert(task, expert.init));
  if (!part) return inputs;
  // Only this part's images count, so that an expert stays valid if only other parts change.
  inputs["images"] = fingerprint_of_items(part->items);
  if (part->embedding || expert.overlap > 1 || expert.judging.patience > 0) {
    // Or all parts, if where these lie decides what it sees or is judged by.
    inputs["partition"] = stage_fingerprint(task.partition, "moe-partition");
  }
  if (expert.judging.patience > 0) {
    inputs["expert"]["use_prices"] = config.eval.use_prices;
    inputs["expert"]["routed_in"] = name_of(routing_precision(config));
  }
  if (expert.lr_by_size) inputs["expert"]["lr_by_size"] = lr_factor(part->partition, part->number);
  return inputs;
}

/// Sets the split that the expert is judged by. Throws Error(usage) if it needs one that the dataset
/// has not, or if the gater routes by an embedding that the base cannot compute.
void set_judging(const TrainExpertTask& task, const ExpertConfig& config, const Dataset& dataset,
                 ImageTraining& job) {
  const Split* split = judging_split(config.judging, dataset, "expert");
  if (split == nullptr) return;
  job.judged_every = config.judging.every();
  job.patience = config.judging.patience;
  job.selection = split;
  if (task.expert == "all") {
    job.selection_items = all_items(*split);
  } else if (is_external_embedding(stage_inputs(task.partition, "moe-partition"))) {
    fail_usage(
        "expert.{0}: {1} was made of an external embedding, by which the images of split "
        "'selection' cannot be routed; set expert.{0} to 0",
        job.patience > 0 ? "patience" : "val_every", task.partition);
  }
}

/// Finds the images that an expert of a part sees or is judged by, besides its own.
void find_other_images(const TrainExpertTask& task, const Config& config, const Part& part,
                       Engine& engine, ImageTraining& job) {
  const PartExpert expert{task, config.expert, part.partition, part.number};
  add_images_of_others(expert, part.embedding, job);
  if (job.judged_every == 0) return;
  // The expert may begin with other weights than the base's.
  route_selection(expert, load_model(task.base), routing_precision(config), config.eval.use_prices,
                  engine, job);
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
  check_expert_config(config.expert);
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  Model start = load_model(task.base);
  require_vocabulary(start.card, task.base, dataset);
  const Split& split = dataset.split("train");
  check_teacher(config.expert, start.card);
  std::optional<Teacher> teacher;
  if (config.expert.distill > 0) {
    teacher = {start, config.expert.distill, config.expert.distill_temperature};
  }
  const std::string& init = config.expert.init;
  if (!init.empty()) {
    if (config.expert.start == ExpertStart::scratch) {
      fail_usage(
          "--init-experts {}: with --start scratch an expert begins with fresh weights; give one",
          init);
    }
    take_weights(earlier_expert(task, init), start);
  }
  const std::optional<Part> part = open_part(task, config.expert, dataset);
  const uint64_t of_seed = part ? static_cast<uint64_t>(part->number) + 1 : 0;
  const uint64_t seed = config.seed + 1000 * (of_seed + 1);
  ImageTraining job{split,
                    part ? part->items : std::vector<int64_t>(),
                    std::move(start),
                    config.expert,
                    "expert",
                    seed,
                    dataset.vocabulary()};
  if (part && config.expert.lr_by_size) job.config.lr *= lr_factor(part->partition, part->number);
  if (part && config.expert.epochs_of == EpochsOf::dataset) job.epochs_of_images = split.size();
  set_judging(task, config.expert, dataset, job);
  if (part && job.judged_every > 0) require_precision(*engine, routing_precision(config));
  job.teacher = std::move(teacher);
  check_image_training(*engine, job);
  std::vector<std::filesystem::path> reads = {task.dataset, task.base, task.partition, init};
  reads.insert(reads.end(), task.embedding.begin(), task.embedding.end());
  Stage stage({task.out, "moe-train-expert", inputs_of(task, config, dataset, part), task.force,
               reads, model_stage_files()});
  if (stage.done()) return results_of_done(stage);
  // A run that has run.features passes them itself.
  if (part && config.run.features.empty()) warn_of_external_embedding(task.partition, task.base);
  write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
  if (part) find_other_images(task, config, *part, *engine, job);
  if (config.expert.start == ExpertStart::scratch) {
    const ModelCard& card = job.start.card;
    job.start.weights = initial_weights(network_of(card.model, card.tags), seed);
  }
  return result_line(train_stage(stage, *engine, job));
}

}  // namespace hardmoe
