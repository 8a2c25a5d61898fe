#include "moe/expert_shards.h"

#include "base/error.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/stage.h"
#include "data/part_shards.h"
#include "moe/mixture.h"
#include "moe/partition.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr int64_t shard_bytes = int64_t{1} << 30;

}  // namespace

void check_shards_of(const fs::path& dataset_folder, const Json& embedding, int64_t rows) {
  const Dataset dataset = Dataset::open(dataset_folder);
  const int64_t images = dataset.split("train").size();
  const std::string& wanted = dataset.fingerprint();
  if (json_get_or(embedding, "dataset", wanted, "the embedding's stage.json") == wanted &&
      rows == images) {
    return;
  }
  fail_usage(
      "{}: its training split ({} images) is not what was embedded ({} rows); give the dataset "
      "that was embedded",
      dataset_folder.string(), images, rows);
}

void write_expert_shards(const fs::path& dataset_folder, const fs::path& partition_folder,
                         const fs::path& out, bool force) {
  const Json made_from = stage_inputs(partition_folder, "moe-partition");
  const Partition partition = load_partition(partition_folder);
  check_shards_of(dataset_folder, made_from, std::ssize(partition.assignment));
  const Dataset dataset = Dataset::open(dataset_folder);
  Stage stage({.folder = out,
               .command = "moe-partition --write-shards",
               .inputs = {{"dataset", dataset.fingerprint()},
                          {"partition", stage_fingerprint(partition_folder, "moe-partition")},
                          {"shard_bytes", shard_bytes}},
               .force = force,
               .reads = {dataset_folder, partition_folder},
               .writes = part_shard_files()});
  if (stage.done()) {
    log_info("{}: done already", out.string());
    return;
  }
  const auto parts = items_by_expert(partition.assignment, partition.gater.experts);
  const PartShardsResult written = write_part_shards(dataset, parts, out, shard_bytes);
  stage.finish({"dataset.json", "tags.tsv"}, {{"images", written.images},
                                              {"experts", partition.gater.experts},
                                              {"shards", written.shards},
                                              {"bytes", written.bytes}});
  log_info("{}: {} images of {} experts in {} shards", out.string(), written.images,
           partition.gater.experts, written.shards);
}

}  // namespace hardmoe
