#include "tasks/reroute.h"

#include "base/error.h"
#include "base/log.h"
#include "base/stage.h"
#include "data/dataset.h"
#include "data/selection.h"
#include "engine/network_facts.h"
#include "moe/embedding.h"
#include "moe/expert_losses.h"
#include "moe/partition_grow.h"
#include "moe/partition_json.h"
#include "moe/partition_sizes.h"
#include "moe/reroute.h"
#include "nn/architecture.h"
#include "tasks/networks.h"
#include "tensor/npy.h"
#include "train/inference_precision.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* losses_name = "losses.npy";

void check_options(const PartitionTask& task, const fs::path& dataset) {
  if (task.reroute.empty()) {
    fail_usage("{}: goes with --reroute OLD; {}", task.base.empty() ? "--experts" : "--base",
               task.base.empty() ? "how many there are is --num-experts"
                                 : "other partitions need the embedding only");
  }
  if (task.base.empty() || task.experts.empty()) {
    fail_usage("--reroute needs the base and the experts of {}, too: --base DIR --experts DIR",
               task.reroute.string());
  }
  if (dataset.empty())
    fail_usage("--reroute needs the dataset, too: moe-partition DATASET EMBEDDING");
}

/// Returns the split that experts are compared on: on images it was trained on an expert does best.
const Split& held_out_split(const Dataset& dataset) {
  return require_selection(dataset, "--reroute", ", and train base and experts on that");
}

/// What re-routing reads.
struct Opened {
  Mixture mixture;
  EmbeddingInput input;
};

Opened open(const PartitionTask& task, const Dataset& dataset,
            const std::vector<fs::path>& embedding) {
  check_experts_folder(task.experts);
  Opened opened{open_mixture(task.base, task.reroute, task.experts, ""), find_embedding(embedding)};
  if (is_external_embedding(opened.input.identity)) {
    fail_usage(
        "{}: an external embedding, which the held-out images' rows are missing of; --reroute is "
        "for partitions of the base's embedding",
        embedding.front().string());
  }
  check_grows_from(task.reroute, opened.input.identity.at("embedding").get<std::string>());
  require_vocabulary(opened.mixture.base.card, task.base, dataset);
  require_trained_on(opened.mixture, task.experts, dataset);
  return opened;
}

Json inputs_of(const PartitionTask& task, Config& config, const Opened& opened,
               Precision precision) {
  Json inputs = opened.input.identity;
  Json settings = config_json(fields_of(config.partition.reroute));
  settings.erase("rounds");  // a run's number of such stages
  settings["tolerance"] = config.partition.tolerance;
  if (!opened.mixture.partition.gater.pca) {  // parts at random had none; one is fitted
    settings["pca"] = config.partition.pca;
    settings["whiten"] = config.partition.whiten;
  }
  inputs["seed"] = config.seed;
  inputs["reroute"] = std::move(settings);
  inputs["precision"] = name_of(precision);
  const Json identity = mixture_identity(opened.mixture, task.base, task.reroute);
  inputs["base"] = identity.at("base");
  inputs["experts"] = identity.at("experts");
  inputs["from"] = identity.at("partition");
  return inputs;
}

std::vector<std::string> files_written() {
  auto files = partition_files();
  files.emplace_back(losses_name);
  return files;
}

/// Asks the base and every expert about the held-out images; the losses are kept in the folder.
HeldOut ask(const Mixture& mixture, const Split& split, const std::vector<int64_t>& items,
            Engine& engine, Precision precision, Stage& stage) {
  const ModelCard& card = mixture.base.card;
  Inference inference(engine, network_of(card.model, card.tags), card.model.image_size, precision);
  inference.load(mixture.base.weights, "base");
  HeldOut held_out{embed(inference, split, items), {}};
  const fs::path file = stage.folder() / losses_name;
  if (!stage.has_kept(losses_name)) {
    save_npy(file, expert_losses(inference, mixture, split, items));
    stage.keep(losses_name);
  }
  held_out.losses = load_npy(file);
  return held_out;
}

/// Returns the FLOPs of the forward passes of `images` held-out images: the base's and each
/// expert's.
double asking_flops(const Mixture& mixture, int64_t images) {
  const ModelCard& card = mixture.base.card;
  return static_cast<double>(images * (mixture.partition.gater.experts + 1)) *
         flops_per_image(network_of(card.model, card.tags));
}

std::string shown_again(const PartitionTask& task) {
  log_info("{}: done already", task.out.string());
  return describe(load_partition(task.out));
}

}  // namespace

std::string reroute_stage(const PartitionTask& task, const fs::path& dataset_folder,
                          const std::vector<fs::path>& embedding_paths, Config& config) {
  check_options(task, dataset_folder);
  check_reroute_config(config.partition.reroute);
  const auto backend = make_cluster_backend(config.device);
  const auto engine = make_engine(config.device);
  const Precision precision = inference_precision(config.embed.precision, config.expert.precision);
  require_precision(*engine, precision);
  const Dataset dataset = Dataset::open(dataset_folder);
  const Split& split = held_out_split(dataset);
  const Opened opened = open(task, dataset, embedding_paths);
  const Embedding embedding(opened.input.files);
  std::vector<fs::path> reads = opened.input.files;
  reads.insert(reads.end(), {task.reroute, task.base, task.experts, dataset_folder});
  Stage stage({.folder = task.out,
               .command = "moe-partition",
               .inputs = inputs_of(task, config, opened, precision),
               .force = task.force,
               .reads = std::move(reads),
               .writes = files_written()});
  if (stage.done()) return shown_again(task);
  const auto items = images_with_tags(split, config.partition.reroute.images, config.seed);
  const HeldOut held_out = ask(opened.mixture, split, items, *engine, precision, stage);
  const Partition partition = reroute(embedding, opened.mixture.partition, held_out,
                                      config.partition, config.seed, {.backend = backend.get()});
  embedding.require_as_recorded();
  warn_if_unequal(partition);
  warn_of_small(partition);
  if (partition.rerouting->kept) {
    log_warning(
        "{}: no rule that was tried routes the held-out images better than {}, which is kept",
        task.out.string(), task.reroute.string());
  }
  auto outputs = save_partition(task.out, partition);
  outputs.emplace_back(losses_name);
  stage.finish(outputs, {{"method", partition_method_name(partition.config.method)},
                         {"experts", partition.config.experts},
                         {"images", partition.assignment.size()},
                         {"sizes", partition.sizes},
                         {"imbalance", partition.imbalance},
                         {"inertia", partition.inertia},
                         {"reroute", rerouting_json(*partition.rerouting)},
                         {"training_flops", asking_flops(opened.mixture, std::ssize(items))}});
  return describe(partition);
}

}  // namespace hardmoe
