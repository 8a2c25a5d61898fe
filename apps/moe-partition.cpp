// moe-partition: embedding → the one expert of each training image.
#include "app.h"
#include "base/log.h"
#include "base/stage.h"
#include "base/text.h"
#include "data/dataset.h"
#include "moe/embedding.h"
#include "moe/expert_shards.h"
#include "moe/mixture.h"
#include "moe/partition.h"
#include "moe/partition_grow.h"
#include "moe/partition_sizes.h"

namespace {

using namespace hardmoe;
namespace fs = std::filesystem;

struct Options {
  std::vector<fs::path> embedding;
  fs::path out, dataset, extend, split, shards;
  bool force = false;
};

/// The partition that --extend or --split starts from, or "".
fs::path base_of(const Options& options) {
  if (!options.extend.empty() && !options.split.empty()) {
    fail_usage("--extend and --split each make a new partition; give one of them");
  }
  return options.extend.empty() ? options.split : options.extend;
}

void run(const Options& options, Config& config) {
  const fs::path base = base_of(options);
  const auto backend = make_cluster_backend(config.device);
  const bool by_tag = config.partition.method == PartitionMethod::top_tag;
  if (by_tag && options.dataset.empty()) {
    fail_usage("--method top-tag needs the images' tags; give the dataset with --data");
  }
  const EmbeddingInput input = find_embedding(options.embedding);
  Json inputs = input.identity;
  inputs["seed"] = config.seed;
  if (base.empty()) {
    inputs["partition"] = partition_identity(config.partition);
  } else {
    check_grows_from(base, inputs["embedding"].get<std::string>());
    inputs[options.extend.empty() ? "split" : "extend"] = stage_fingerprint(base, "moe-partition");
  }
  std::vector<int32_t> tags;
  if (by_tag) {
    const Dataset dataset = Dataset::open(options.dataset);
    if (inputs.value("dataset", dataset.fingerprint()) != dataset.fingerprint()) {
      fail_usage("{}: is the embedding of another dataset than {}", options.embedding[0].string(),
                 options.dataset.string());
    }
    inputs["dataset"] = dataset.fingerprint();
    tags = most_frequent_tags(dataset.split("train"));
  }
  const Embedding embedding(input.files);
  if (is_own_embedding(input.identity)) {
    inputs["external"] = {{"images", embedding.rows()}, {"width", embedding.cols()}};
  }
  if (!options.shards.empty()) check_shards_of(options.dataset, input.identity, embedding.rows());
  check_partition(embedding, tags, config.partition, *backend);  // before --out is touched
  std::vector<fs::path> reads = input.files;
  reads.insert(reads.end(), {base, options.dataset});
  Stage stage({.folder = options.out,
               .command = "moe-partition",
               .inputs = std::move(inputs),
               .force = options.force,
               .reads = std::move(reads),
               .writes = partition_files()});
  if (stage.done()) {
    log_info("{}: done already", options.out.string());
    const Partition done = load_partition(options.out);
    if (base.empty()) warn_if_unequal(done);
    warn_of_small(done);
    fmt::print("{}", describe(done));
    return;
  }
  Partition partition;
  if (base.empty()) {
    partition = partition_in_folder(options.out, embedding, tags, config.partition, config.seed,
                                    *backend, stage.identity());
    warn_if_unequal(partition);
  } else {
    const Growth growth = options.extend.empty() ? Growth::split : Growth::extend;
    partition = grow_partition(embedding, base, growth, config.seed, {.backend = backend.get()});
  }
  embedding.require_as_recorded();
  warn_of_small(partition);
  if (is_own_embedding(input.identity)) {
    log_info(
        "{}: remembers an embedding of one's own of {} values an image; moe-eval and moe-embed "
        "will "
        "need its rows of the images they route, as --features",
        options.out.string(), embedding.cols());
  }
  const auto outputs = save_partition(options.out, partition);
  remove_partition_state(options.out);
  stage.finish(outputs, {{"method", partition_method_name(partition.config.method)},
                         {"experts", partition.config.experts},
                         {"images", partition.assignment.size()},
                         {"sizes", partition.sizes},
                         {"imbalance", partition.imbalance},
                         {"inertia", partition.inertia}});
  fmt::print("{}", describe(partition));
}

}  // namespace

int main(int argc, char** argv) {
  Command command(
      "moe-partition",
      "Give each training image to one expert: balanced k-means on the base's embedding, or on one "
      "of your own (CLIP's, DINOv2's …), or one of two controls. Interrupted, the same command "
      "resumes.\n\nWrites "
      "assignment.npy (the expert of each image), gater.safetensors (which expert an "
      "image belongs to, by its embedding) and partition.json.");
  Options options;
  command.cli()
      .add_option("EMBEDDING", options.embedding,
                  "Folder of moe-embed; .npy files, images × dimensions; or folders of them")
      ->required()
      ->type_name("");
  command.cli()
      .add_option("--out", options.out, "Folder of the partition")
      ->required()
      ->type_name("DIR");
  auto* data =
      command.cli()
          .add_option("--data", options.dataset, "Dataset, for --method top-tag and --write-shards")
          ->type_name("DIR");
  command.cli()
      .add_option("--extend", options.extend,
                  "Partition to add an expert to; every other image stays where it is")
      ->type_name("DIR");
  command.cli()
      .add_option("--split", options.split,
                  "Partition whose largest expert to halve; every other image stays")
      ->type_name("DIR");
  command.cli()
      .add_option("--write-shards", options.shards,
                  "Also write the dataset there, each expert's images in shards of their own")
      ->type_name("DIR")
      ->needs(data);
  command.setting("--method", "partition.method");
  command.setting("--experts", "partition.experts");
  command.setting("--tolerance", "partition.tolerance");
  command.setting("--pca", "partition.pca");
  command.setting("--fine", "partition.fine");
  command.setting("--memory", "partition.memory");
  command.setting("--iterations", "partition.iterations");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(options.force);
  return command.run(argc, argv, [&] {
    for (const char* option : {"--method", "--experts", "--pca", "--fine"}) {
      if (base_of(options).empty() || command.cli().count(option) == 0) continue;
      fail_usage("{}: a partition that is split or extended keeps its own; leave it out", option);
    }
    run(options, command.config());
    if (options.shards.empty()) return;
    write_expert_shards(options.dataset, options.out, options.shards, options.force);
  });
}
