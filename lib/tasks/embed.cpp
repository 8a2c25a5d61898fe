#include "tasks/embed.h"

#include <numeric>
#include <optional>

#include "base/folders.h"
#include "base/log.h"
#include "base/stage.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "moe/embedding_parts.h"
#include "moe/evaluation.h"
#include "moe/mixture_networks.h"
#include "moe/routing.h"
#include "moe/unified_embedding.h"
#include "nn/architecture.h"
#include "tasks/results.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

/// Appends to OUT/SPLIT.npy.
class FeatureFile {
 public:
  FeatureFile(const std::filesystem::path& path, bool half, int64_t width)
      : half_(half), writer_(path, half ? DType::f16 : DType::f32, {width}) {}

  void append(std::span<const float> features, int64_t rows) {
    if (!half_) return writer_.append(features.data(), rows);
    narrow_.resize(features.size());
    for (size_t i = 0; i < features.size(); ++i) narrow_[i] = to_float16(features[i]);
    writer_.append(narrow_.data(), rows);
  }
  void finish() { writer_.finish(); }

 private:
  bool half_;
  NpyWriter writer_;
  std::vector<Float16> narrow_;
};

struct Networks {
  std::optional<Model> model;
  std::optional<Mixture> mixture;
  std::optional<EmbeddingInput> external;  ///< what routes the mixture, if the base does not
  Json identity;
  const ModelCard& card() const { return model ? model->card : mixture->base.card; }
  /// Returns the FLOPs of embedding an image: of the trunk that embeds it, and of what routes it or
  /// has a share.
  double flops() const {
    if (!mixture) return flops_per_image(network_of(card().model, 0));
    const bool base = mixture->embedding != EmbeddingKind::expert;
    const bool routes = !mixture->router && !external;
    return trunks_cost(*mixture, base || routes ? 2 : 1).flops + router_cost(*mixture).flops;
  }
};

/// Sets what the mixture's embedding is, by its decoder if one is given, else by the configuration.
void set_embedding(Mixture& mixture, const MixtureConfig& config) {
  check_mixing(mixture, {config.fits_share() ? 0 : config.base_share, config.mix, config.embedding},
               nullptr);
  if (mixture.decoder) return;
  mixture.embedding = config.embedding;
  if (config.embedding != EmbeddingKind::blend) return;
  if (config.fits_share()) {
    fail_usage(
        "mixture.base_share: -1 is fitted by moe-train-decoder; give its decoder as --decoder, or "
        "a "
        "value from 0 to 1");
  }
  mixture.embedding_share = config.base_share;
}

Networks open_networks(const EmbedTask& task, const Dataset& dataset, const Config& config) {
  const bool use_prices = config.eval.use_prices;
  const NetworkFolders& folders = task.networks;
  Networks networks;
  if (!folders.is_mixture()) {
    networks.model = load_changed_model(folders.model, folders.sparse);
    networks.identity["model"] = model_hash(folders.model);
    add_identity(folders.sparse, networks.identity);
    return networks;
  }
  check_experts_folder(folders.experts);
  networks.mixture = open_mixture(folders.base, folders.partition, folders.experts, task.decoder);
  set_embedding(*networks.mixture, config.mixture);
  if (!folders.router.empty() && networks.mixture->embedding != EmbeddingKind::expert) {
    fail_usage(
        "--router: the base is not computed, so that it can have no share in the embedding; leave "
        "--router out, or embed with mixture.embedding: expert");
  }
  if (networks.mixture->external_embedding && folders.router.empty() && task.splits.size() > 1) {
    fail_usage("--split: {} are named, and --features has the rows of one; embed one at a time",
               join(task.splits, ", "));
  }
  const OtherRouting routing =
      open_routing(folders, use_prices, dataset.split(task.splits.front()), *networks.mixture);
  networks.external = routing.external;
  networks.identity = mixture_identity(*networks.mixture, folders.base, folders.partition);
  networks.identity["use_prices"] = use_prices;
  if (networks.mixture->embedding != EmbeddingKind::expert) {
    const auto kind = static_cast<size_t>(networks.mixture->embedding);
    networks.identity["embedding"] = embedding_kinds[kind];
    networks.identity["base_share"] = networks.mixture->embedding_share;
  }
  networks.identity.update(routing.identity);
  networks.identity["model"] = sha256_hex(networks.identity.dump());
  return networks;
}

/// Throws Error(usage) if the data set lacks one of the splits.
void check_splits(const EmbedTask& task, const Dataset& dataset) {
  for (const auto& name : task.splits) {
    if (name.find(',') != std::string::npos) {
      fail_usage("--split {}: expected one name; name several as --split {}", name,
                 join(split(name, ','), " "));
    }
    dataset.split(name);
  }
}

/// Returns the part of the images that is meant. Throws Error(usage) if there can be none.
EmbeddingPart part_of(const EmbedTask& task, const Dataset& dataset) {
  if (task.part.empty()) return {};
  const EmbeddingPart part = parse_embedding_part(task.part);
  if (part.is_all()) return part;
  if (task.networks.is_mixture()) {
    fail_usage("--part {}: a mixture's embedding is made as a whole; leave --part out", task.part);
  }
  for (const auto& name : task.splits) {
    const int64_t images = dataset.split(name).size();
    if (images >= part.of) continue;
    fail_usage("--part {}: split '{}' has {} images, fewer than parts; choose fewer parts",
               task.part, name, images);
  }
  if (path_exists(std::filesystem::path(task.out) / "stage.json")) {
    fail_usage("{}: holds a whole embedding; choose another --out for parts", task.out);
  }
  return part;
}

/// Returns the numbers of the split's images that belong to the part.
std::vector<int64_t> images_of(const Split& split, const EmbeddingPart& part) {
  const auto [begin, end] = part.rows_of(split.size());
  std::vector<int64_t> images(static_cast<size_t>(end - begin));
  std::iota(images.begin(), images.end(), begin);
  return images;
}

std::vector<std::string> feature_files(const Dataset& dataset) {
  std::vector<std::string> files;
  for (const auto& split : dataset.split_names()) files.push_back(split + ".npy");
  return files;
}

/// Appends the features of the split's images by the mixture.
void embed_by_mixture(const Networks& networks, const Split& split, bool use_prices,
                      MixtureNetworks& trunks, FeatureFile& file) {
  const Mixture& mixture = *networks.mixture;
  std::optional<std::vector<uint16_t>> experts;
  if (networks.external) {
    const Tensor features = external_features(*networks.external);
    experts = mixture.partition.gater.route(matrix_view(features), use_prices);
    warn_of_skew(mixture.partition, *experts);
  }
  const EmbeddedImages found = embed_by_experts(
      trunks, split, experts, mixture.embedding != EmbeddingKind::expert, use_prices);
  const Tensor features = combined_embedding(mixture.embedding, mixture.embedding_share,
                                             found.base_features, found.expert_features);
  file.append(features.as<float>(), split.size());
}

}  // namespace

std::string embed_images(const EmbedTask& task, Config& config) {
  const Precision precision =
      inference_precision(config.embed.precision, training_precision(task.networks, config));
  const bool use_prices = config.eval.use_prices;
  const auto engine = make_engine(config.device);
  require_precision(*engine, precision);
  const Dataset dataset = Dataset::open(task.dataset);
  check_splits(task, dataset);
  const EmbeddingPart part = part_of(task, dataset);
  const Networks networks = open_networks(task, dataset, config);
  Json inputs = {{"dataset", dataset.fingerprint()}};
  inputs.update(networks.identity);
  inputs.update(
      {{"splits", task.splits}, {"half", config.embed.half}, {"precision", name_of(precision)}});
  if (!part.is_all()) inputs["part"] = {part.number, part.of};
  Stage stage({folder_of_part(task.out, part), "moe-embed", inputs, task.force,
               paths_read(task.dataset, task.networks, networks.external), feature_files(dataset)});
  if (stage.done()) return results_of_done(stage);
  const ModelConfig& model = networks.card().model;
  std::optional<Inference> trunk;
  std::optional<MixtureNetworks> trunks;
  if (networks.mixture) {
    trunks.emplace(*engine, *networks.mixture, precision, /*heads=*/false);
  } else {
    trunk.emplace(*engine, network_of(model, 0), model.image_size, precision);
    trunk->load(networks.model->weights, task.networks.model);
  }
  const EmbeddingKind kind = networks.mixture ? networks.mixture->embedding : EmbeddingKind::expert;
  const int64_t width = embedding_width(kind, feature_size(network_of(model, 0)));
  Json results = {{"dimensions", width}};
  std::vector<std::string> files;
  const double start = now_seconds();
  double flops = 0;
  for (const auto& name : task.splits) {
    const Split& split = dataset.split(name);
    const auto images = images_of(split, part);
    files.push_back(name + ".npy");
    FeatureFile file(stage.folder() / files.back(), config.embed.half, width);
    if (trunks) {
      embed_by_mixture(networks, split, use_prices, *trunks, file);
    } else {
      trunk->run(split, images,
                 [&](auto, int64_t rows, auto features, auto) { file.append(features, rows); });
    }
    file.finish();
    results["images"][name] = images.size();
    flops += static_cast<double>(images.size()) * networks.flops();
  }
  results["seconds"] = now_seconds() - start;
  results["training_flops"] = flops;  // forward passes alone, in the sum of what a mixture took
  stage.finish(files, results);
  return result_line(stage.results());
}

}  // namespace hardmoe
