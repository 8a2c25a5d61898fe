#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/format_number.h"
#include "base/json_field.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "moe/partition.h"
#include "moe/partition_json.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

constexpr const char* assignment_name = "assignment.npy";
constexpr const char* gater_name = "gater.safetensors";
constexpr const char* record_name = "partition.json";
constexpr FileFormat partition_format{"partition", 1};

std::string meaning_of_inertia(const Gater& gater) {
  const std::string from = gater.expert_of.empty()
                               ? "the expert's centroid"
                               : fmt::format("one of {} centroids", gater.expert_of.size());
  const char* where = !gater.pca || !gater.pca->rotates() ? ""
                      : gater.pca->whitened               ? ", in whitened dimensions"
                                                          : ", in the dimensions kept";
  return fmt::format("squared distance from {}{}", from, where);
}

Rerouting parse_rerouting(const Json& json, const std::string& where) {
  return {.images = json_get<int64_t>(json, "images", where),
          .temperature = json_get<double>(json, "temperature", where),
          .penalty = json_get<double>(json, "penalty", where),
          .loss_before = json_get<double>(json, "loss_before", where),
          .loss_after = json_get<double>(json, "loss_after", where),
          .loss_least = json_get<double>(json, "loss_least", where),
          .best_before = json_get<double>(json, "best_before", where),
          .best_after = json_get<double>(json, "best_after", where),
          .moved = json_get<int64_t>(json, "moved", where),
          .kept = json_get<bool>(json, "kept", where)};
}

std::string describe(const Rerouting& rerouting, double training_images) {
  return fmt::format(
      "{} held-out images, loss of the expert they go to: {:.4f}, before {:.4f}, at best {:.4f}; "
      "go "
      "to their best expert: {:.1f}%, before {:.1f}%\n{}\n",
      rerouting.images, rerouting.loss_after, rerouting.loss_before, rerouting.loss_least,
      100 * rerouting.best_after, 100 * rerouting.best_before,
      rerouting.kept ? "no rule did better than the old one, which is kept"
                     : fmt::format("{} training images ({:.1f}%) have another expert than before",
                                   rerouting.moved,
                                   100 * static_cast<double>(rerouting.moved) / training_images));
}

}  // namespace

Json iteration_json(const KMeansIteration& iteration) {
  return {{"inertia", iteration.inertia},
          {"smallest", iteration.smallest},
          {"largest", iteration.largest},
          {"moved", iteration.moved},
          {"reseeded", iteration.reseeded}};
}

KMeansIteration parse_iteration(const Json& json, const std::string& where) {
  return {.inertia = json_get<double>(json, "inertia", where),
          .smallest = json_get<int64_t>(json, "smallest", where),
          .largest = json_get<int64_t>(json, "largest", where),
          .moved = json_get<int64_t>(json, "moved", where),
          .reseeded = json_get<int64_t>(json, "reseeded", where)};
}

Json rerouting_json(const Rerouting& rerouting) {
  return {{"images", rerouting.images},
          {"temperature", rerouting.temperature},
          {"penalty", rerouting.penalty},
          {"loss_before", rerouting.loss_before},
          {"loss_after", rerouting.loss_after},
          {"loss_least", rerouting.loss_least},
          {"best_before", rerouting.best_before},
          {"best_after", rerouting.best_after},
          {"moved", rerouting.moved},
          {"kept", rerouting.kept}};
}

Json partition_json(const Partition& partition) {
  Json iterations = Json::array();
  for (const auto& iteration : partition.iterations)
    iterations.push_back(iteration_json(iteration));
  Json json = {{"format", format_text(partition_format)},
               {"method", partition_method_name(partition.config.method)},
               {"experts", partition.config.experts},
               {"images", partition.assignment.size()},
               {"sizes", partition.sizes},
               {"imbalance", partition.imbalance},
               {"tolerance", partition.config.tolerance},
               {"balanced", partition.balanced},
               {"inertia", partition.inertia},
               {"pca", partition.config.pca},
               {"whiten", partition.config.whiten},
               {"fine", partition.config.fine},
               {"dimensions", partition.dimensions},
               {"explained_variance", partition.explained_variance},
               {"equal_rows", partition.equal_rows},
               {"seed", partition.seed},
               {"max_iterations", partition.config.iterations},
               {"iterations", iterations}};
  if (partition.agreement < 1) json["agreement"] = partition.agreement;
  if (partition.rerouting) json["reroute"] = rerouting_json(*partition.rerouting);
  return json;
}

std::string describe(const Partition& partition) {
  constexpr size_t most_listed = 64;
  const auto images = static_cast<double>(partition.assignment.size());
  const auto experts = static_cast<double>(partition.sizes.size());
  std::vector<std::vector<std::string>> rows = {{"expert", "images", "of mean"}};
  const auto add = [&](const std::string& name, int64_t size) {
    const double share = static_cast<double>(size) * experts / images;
    rows.push_back({name, std::to_string(size), fmt::format("{:.1f}%", 100 * share)});
  };
  if (partition.sizes.size() <= most_listed) {
    for (size_t c = 0; c < partition.sizes.size(); ++c) add(std::to_string(c), partition.sizes[c]);
  } else {  // the full list is in partition.json
    auto sorted = partition.sizes;
    std::sort(sorted.begin(), sorted.end());
    add("smallest", sorted.front());
    add("median", sorted[sorted.size() / 2]);
    add("largest", sorted.back());
  }
  rows.push_back({"all", std::to_string(partition.assignment.size()), ""});
  std::string text =
      fmt::format("{}imbalance {:.4f} (largest part / mean)\ninertia an image {:.6g} ({})\n",
                  format_table(rows), partition.imbalance, partition.inertia / images,
                  meaning_of_inertia(partition.gater));
  if (partition.agreement < 1) {
    text += fmt::format("{:.2f}% of the images have the nearest of all centroids (search: near)\n",
                        100 * partition.agreement);
  }
  if (partition.gater.pca && partition.gater.pca->rotates()) {
    text += fmt::format(
        "PCA keeps {} of {} dimensions, {:.1f}% of the variance{}\n", partition.dimensions,
        partition.gater.inputs, 100 * partition.explained_variance,
        partition.dimensions < std::min<int64_t>(partition.config.pca, partition.gater.inputs)
            ? "; the others vary by no more than their values' rounding"
            : "");
  }
  if (partition.rerouting) text += describe(*partition.rerouting, images);
  return text;
}

std::vector<std::string> save_partition(const std::filesystem::path& folder,
                                        const Partition& partition) {
  save_npy(folder / assignment_name, partition.assignment);
  save_gater(folder / gater_name, partition.gater);
  write_json(folder / record_name, partition_json(partition));
  return {assignment_name, gater_name, record_name};
}

std::vector<std::string> partition_files() {
  return {assignment_name, gater_name, record_name, checkpoint_files};
}

Partition load_partition(const std::filesystem::path& folder) {
  const auto file = folder / record_name;
  require_file(file, "expected a folder written by moe-partition", ExitStatus::usage);
  for (const char* name : {record_name, gater_name, assignment_name}) {
    require_as_recorded(folder / name);
  }
  const std::string where = file.string();
  const Json record = read_json(file);
  require_json_format(partition_format, record, where);
  Partition partition;
  partition.config.method =
      parse_partition_method(json_get<std::string>(record, "method", where), where);
  partition.config.experts = json_int(record, "experts", where);
  partition.config.pca = json_int(record, "pca", where);
  partition.config.whiten = json_get<bool>(record, "whiten", where);
  partition.config.fine = record.contains("fine") ? json_int(record, "fine", where) : 0;
  partition.config.tolerance = json_get<double>(record, "tolerance", where);
  partition.config.iterations = json_int(record, "max_iterations", where);
  partition.seed = json_get<uint64_t>(record, "seed", where);
  partition.sizes = json_get<std::vector<int64_t>>(record, "sizes", where);
  partition.imbalance = json_get<double>(record, "imbalance", where);
  partition.balanced = json_get<bool>(record, "balanced", where);
  partition.inertia = json_get<double>(record, "inertia", where);
  partition.explained_variance = json_get<double>(record, "explained_variance", where);
  if (record.contains("equal_rows")) {  // this and the next are absent from older files
    partition.equal_rows = json_get<std::vector<int64_t>>(record, "equal_rows", where);
  }
  if (record.contains("agreement")) {
    partition.agreement = json_get<double>(record, "agreement", where);
  }
  if (record.contains("reroute")) {
    partition.rerouting = parse_rerouting(json_get<Json>(record, "reroute", where), where);
  }
  for (const Json& iteration : json_list(record, "iterations", where)) {
    partition.iterations.push_back(parse_iteration(iteration, where));
  }
  partition.gater = load_gater(folder / gater_name);
  const Gater& gater = partition.gater;
  partition.dimensions = record.contains("dimensions")
                             ? json_get<int64_t>(record, "dimensions", where)
                         : gater.pca ? gater.pca->outputs()
                                     : gater.inputs;
  if (partition.gater.experts != partition.config.experts ||
      static_cast<int64_t>(partition.sizes.size()) != partition.config.experts) {
    fail("{}: says {} experts and {} sizes, {} has {}; make the partition again", where,
         partition.config.experts, partition.sizes.size(), gater_name, partition.gater.experts);
  }

  const MappedNpy mapped(folder / assignment_name);
  const auto assignment = mapped.as<uint16_t>();
  partition.assignment.assign(assignment.begin(), assignment.end());
  std::vector<int64_t> counted(partition.sizes.size());
  for (const uint16_t part : assignment) {
    if (part >= counted.size()) {
      fail("{}: names expert {} of {}; make the partition again",
           (folder / assignment_name).string(), part, counted.size());
    }
    ++counted[part];
  }
  if (counted != partition.sizes) {
    fail("{}: its sizes are not those of {}; make the partition again", where, assignment_name);
  }
  return partition;
}

}  // namespace hardmoe
