// moe-partition: gives each training image to one expert, by balanced k-means on the base's
// embedding or by one of two controls.
#include "app.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stage.h"
#include "base/text.h"
#include "data/dataset.h"
#include "moe/embedding_file.h"
#include "moe/partition.h"

namespace {

using namespace hardmoe;
namespace fs = std::filesystem;

struct Options {
  fs::path embedding, out, dataset;
  bool force = false;
};

/// The training split's features and their identity: a stage of moe-embed, or a bare .npy file.
struct Input {
  fs::path file;
  Json identity;
};

Input find_input(const fs::path& embedding) {
  if (fs::is_directory(embedding)) {
    const Json made_from = stage_inputs(embedding, "moe-embed");
    const std::string where = embedding.string();
    const Json identity = {{"embedding", stage_fingerprint(embedding, "moe-embed")},
                           {"dataset", json_get<std::string>(made_from, "dataset", where)},
                           {"model", json_get<std::string>(made_from, "model", where)}};
    const fs::path file = embedding / "train.npy";
    require_file(file, "moe-embed writes it for the split `train`");
    return {file, identity};
  }
  require_file(embedding,
               "expected a folder made by moe-embed, or an .npy file of images × dimensions");
  return {embedding, {{"embedding", sha256_of_file(embedding)}}};
}

std::string percent(double share) { return fmt::format("{:.1f}%", 100 * share); }

void print_result(const Partition& partition) {
  const auto images = static_cast<double>(partition.assignment.size());
  const auto experts = static_cast<double>(partition.sizes.size());
  std::vector<std::vector<std::string>> rows = {{"expert", "images", "of mean"}};
  for (size_t c = 0; c < partition.sizes.size(); ++c) {
    const auto size = static_cast<double>(partition.sizes[c]);
    rows.push_back(
        {std::to_string(c), std::to_string(partition.sizes[c]), percent(size * experts / images)});
  }
  rows.push_back({"all", std::to_string(partition.assignment.size()), ""});
  fmt::print("{}imbalance {:.4f} (largest part / mean)\ninertia an image {:.6g}\n",
             format_table(rows), partition.imbalance, partition.inertia / images);
  if (partition.gater.pca) {
    fmt::print("PCA keeps {} of {} dimensions, {} of the variance\n",
               partition.gater.pca->outputs(), partition.gater.inputs,
               percent(partition.explained_variance));
  }
}

Partition make_partition(MatrixView features, std::span<const int32_t> tags, const Config& config,
                         ClusterBackend& backend) {
  int iteration = 0;
  const auto observe = [&](const KMeansIteration& i) {
    const auto images = static_cast<double>(features.rows);
    const auto share = [&](int64_t size) {
      return static_cast<double>(size) * config.partition.experts / images;
    };
    log_info("iteration {:3}  inertia {:.6g}  parts {:.3f} to {:.3f} of mean  moved {}{}  {:.1f} s",
             ++iteration, i.inertia / images, share(i.smallest), share(i.largest),
             percent(static_cast<double>(i.moved) / images),
             i.reseeded > 0 ? fmt::format("  re-seeded {}", i.reseeded) : "", i.seconds);
    throw_if_interrupted();
  };
  return partition_images(features, tags, config.partition, config.seed, observe, backend);
}

void run(const Options& options, Config& config) {
  const auto backend = make_cluster_backend(config.device);
  const bool by_tag = config.partition.method == PartitionMethod::top_tag;
  if (by_tag && options.dataset.empty()) {
    fail_usage("--method top-tag needs the images' tags; give the dataset with --data");
  }
  const Input input = find_input(options.embedding);
  Json inputs = input.identity;
  inputs["seed"] = config.seed;
  inputs["partition"] = config_json(fields_of(config.partition));
  std::vector<int32_t> tags;
  if (by_tag) {
    const Dataset dataset = Dataset::open(options.dataset);
    if (inputs.value("dataset", dataset.fingerprint()) != dataset.fingerprint()) {
      fail_usage("{}: is the embedding of another dataset than {}", options.embedding.string(),
                 options.dataset.string());
    }
    inputs["dataset"] = dataset.fingerprint();
    tags = most_frequent_tags(dataset.split("train"));
  }
  const EmbeddingFile embedding(input.file);
  check_partition(embedding.view(), tags, config.partition);  // before --out is touched
  Stage stage({.folder = options.out,
               .command = "moe-partition",
               .inputs = std::move(inputs),
               .force = options.force});
  if (stage.done()) {
    log_info("{}: done already", options.out.string());
    print_result(load_partition(options.out));
    return;
  }
  const Partition partition = make_partition(embedding.view(), tags, config, *backend);
  if (!partition.balanced) {
    log_warning("the largest part is {:.2f} × the mean, beyond the tolerance of {}: {}",
                partition.imbalance, config.partition.tolerance,
                by_tag ? "tags are not split" : "too many images have nearly equal embeddings");
  }
  const auto outputs = save_partition(options.out, partition);
  stage.finish(outputs, {{"method", partition_method_name(config.partition.method)},
                         {"experts", config.partition.experts},
                         {"images", partition.assignment.size()},
                         {"sizes", partition.sizes},
                         {"imbalance", partition.imbalance},
                         {"inertia", partition.inertia}});
  print_result(partition);
}

}  // namespace

int main(int argc, char** argv) {
  Command command("moe-partition", "Give each training image to one expert");
  Options options;
  command.cli()
      .add_option("embedding", options.embedding,
                  "Folder made by moe-embed, or an .npy file (images × dimensions)")
      ->required();
  command.cli().add_option("--out", options.out, "Folder for the partition")->required();
  command.cli().add_option("--data", options.dataset, "Dataset, for --method top-tag");
  command.setting("--method", "partition.method", "kmeans, random or top-tag");
  command.setting("--experts", "partition.experts", "Parts");
  command.setting("--tolerance", "partition.tolerance",
                  "Parts within (1 ± this) of the mean; 0: any");
  command.setting("--pca", "partition.pca", "Dimensions of the embedding kept; 0: no PCA");
  command.setting("--iterations", "partition.iterations", "k-means iterations at most");
  command.setting("--seed", "seed", "Seed of everything random");
  command.device_option();
  command.stage_options(options.force);
  return command.run(argc, argv, [&] { run(options, command.config()); });
}
