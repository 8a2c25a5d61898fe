#include "tasks/partition.h"

#include "base/folders.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/stage.h"
#include "data/dataset.h"
#include "moe/embedding.h"
#include "moe/expert_shards.h"
#include "moe/mixture.h"
#include "moe/partition.h"
#include "moe/partition_grow.h"
#include "moe/partition_sizes.h"
#include "tasks/partition_sheet.h"
#include "tasks/reroute.h"
#include "tasks/sheet_file.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// The task's inputs, distinguished by their contents.
struct Inputs {
  std::vector<fs::path> embedding;
  fs::path dataset;  ///< empty: none is among them
};

Inputs sorted_inputs(const PartitionTask& task) {
  Inputs inputs;
  for (const fs::path& path : task.inputs) {
    if (!path_exists(path / "dataset.json")) {
      inputs.embedding.push_back(path);
    } else if (inputs.dataset.empty()) {
      inputs.dataset = path;
    } else {
      fail_usage("{} and {} are both datasets; give the one that the embedding is of",
                 inputs.dataset.string(), path.string());
    }
  }
  if (inputs.embedding.empty()) {
    fail_usage(
        "{}: is a dataset, made by moe-ingest; give the embedding of its images, as moe-embed "
        "writes it",
        inputs.dataset.string());
  }
  return inputs;
}

/// Returns what the stage's inputs record of the embedding and the settings.
Json inputs_of(const PartitionTask& task, Config& config, const EmbeddingInput& input) {
  const fs::path& base = task.made_from();
  Json inputs = input.identity;
  inputs["seed"] = config.seed;
  if (base.empty()) {
    inputs["partition"] = partition_identity(config.partition);
  } else {
    check_grows_from(base, json_get<std::string>(inputs, "embedding", "the embedding's identity"));
    inputs[task.extend.empty() ? "split" : "extend"] = stage_fingerprint(base, "moe-partition");
  }
  return inputs;
}

/// Returns the images' most frequent tags; adds their data set to the inputs.
std::vector<int32_t> top_tags(const Inputs& sources, Json& inputs) {
  const Dataset dataset = Dataset::open(sources.dataset);
  const std::string& wanted = dataset.fingerprint();
  if (json_get_or(inputs, "dataset", wanted, sources.embedding[0].string()) != wanted) {
    fail_usage("{}: is the embedding of another dataset than {}", sources.embedding[0].string(),
               sources.dataset.string());
  }
  inputs["dataset"] = dataset.fingerprint();
  return most_frequent_tags(dataset.split("train"));
}

std::string shown_again(const PartitionTask& task) {
  log_info("{}: done already", task.out.string());
  const Partition partition = load_partition(task.out);
  if (task.made_from().empty()) warn_if_unequal(partition);
  warn_of_small(partition);
  return describe(partition);
}

/// Makes the partition and marks the stage done.
std::string make(const PartitionTask& task, const Config& config, const EmbeddingInput& input,
                 const Embedding& embedding, const std::vector<int32_t>& tags,
                 ClusterBackend& backend, Stage& stage) {
  Partition partition;
  if (task.made_from().empty()) {
    partition = partition_in_folder(task.out, embedding, tags, config.partition, config.seed,
                                    backend, stage.identity());
    warn_if_unequal(partition);
  } else {
    const Growth growth = task.extend.empty() ? Growth::halve : Growth::extend;
    partition =
        grow_partition(embedding, task.made_from(), growth, config.seed, {.backend = &backend});
  }
  embedding.require_as_recorded();
  warn_of_small(partition);
  if (is_external_embedding(input.identity)) {
    log_info(
        "{}: made of an external embedding ({} values an image); moe-eval and moe-embed "
        "will need that embedding of the images they route, as --features",
        task.out.string(), embedding.cols());
  }
  const auto outputs = save_partition(task.out, partition);
  remove_partition_state(task.out);
  stage.finish(outputs, {{"method", partition_method_name(partition.config.method)},
                         {"experts", partition.config.experts},
                         {"images", partition.assignment.size()},
                         {"sizes", partition.sizes},
                         {"imbalance", partition.imbalance},
                         {"inertia", partition.inertia}});
  return describe(partition);
}

[[noreturn]] void fail_without_dataset(const std::string& option) {
  fail_usage("{} needs the dataset, too: moe-partition DATASET EMBEDDING", option);
}

std::string partition_stage(const PartitionTask& task, const Inputs& sources, Config& config) {
  static_cast<void>(task.made_from());  // two such options are told first
  if (!task.base.empty() || !task.experts.empty() || !task.reroute.empty()) {
    return reroute_stage(task, sources.dataset, sources.embedding, config);
  }
  const auto backend = make_cluster_backend(config.device);
  const bool by_tag = config.partition.method == PartitionMethod::top_tag;
  if (sources.dataset.empty() && by_tag) fail_without_dataset("--method top-tag");
  const EmbeddingInput input = find_embedding(sources.embedding);
  Json inputs = inputs_of(task, config, input);
  const std::vector<int32_t> tags = by_tag ? top_tags(sources, inputs) : std::vector<int32_t>();
  const Embedding embedding(input.files);
  if (is_external_embedding(input.identity)) {
    inputs["external"] = {{"images", embedding.rows()}, {"width", embedding.cols()}};
  }
  if (!sources.dataset.empty() && (!by_tag || !task.shards.empty())) {
    check_shards_of(sources.dataset, input.identity, embedding.rows());
  }
  check_partition(embedding, tags, config.partition, *backend);  // before `out` is touched
  std::vector<fs::path> reads = input.files;
  reads.insert(reads.end(), {task.made_from(), sources.dataset});
  Stage stage({.folder = task.out,
               .command = "moe-partition",
               .inputs = std::move(inputs),
               .force = task.force,
               .reads = std::move(reads),
               .writes = partition_files()});
  if (stage.done()) return shown_again(task);
  return make(task, config, input, embedding, tags, *backend, stage);
}

}  // namespace

const fs::path& PartitionTask::made_from() const {
  const fs::path* from = &halve;
  for (const fs::path* other : {&extend, &reroute}) {
    if (!from->empty() && !other->empty()) {
      fail_usage(
          "--halve-largest, --add-expert and --reroute each make a new partition; give one of "
          "them");
    }
    if (!other->empty()) from = other;
  }
  return *from;
}

void make_partition(const PartitionTask& task, Config& config,
                    const std::function<void(const std::string&)>& print) {
  const Inputs sources = sorted_inputs(task);
  if (sources.dataset.empty() && !task.shards.empty()) fail_without_dataset("--write-shards");
  if (!task.sheet.empty()) {
    check_sheet_file(task.sheet);
    if (sources.dataset.empty()) fail_without_dataset("--contact-sheet");
  }
  print(partition_stage(task, sources, config));
  if (!task.shards.empty()) {  // a stage of its own, when the partition's has ended
    write_expert_shards(sources.dataset, task.out, task.shards, task.force);
  }
  if (!task.sheet.empty()) {
    print(write_partition_sheet(sources.dataset, sources.embedding, task.out, task.sheet));
  }
}

}  // namespace hardmoe
