// moe-embed: dataset + network → the network's features of every image.
#include <optional>

#include "app.h"
#include "base/log.h"
#include "base/stage.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "moe/routing.h"
#include "network_options.h"
#include "tensor/npy.h"

namespace {

using namespace hardmoe;

/// OUT/SPLIT.npy, appended to.
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
  std::optional<EmbeddingInput> own;  ///< what the mixture routes by, where the base does not
  Json identity;
  const ModelCard& card() const { return model ? model->card : mixture->base.card; }
};

Networks open_networks(const NetworkOptions& options, const Dataset& dataset,
                       const std::vector<std::string>& splits, bool use_prices) {
  Networks networks;
  if (options.is_mixture()) {
    networks.mixture = open_mixture(options.base, options.partition, options.experts, "");
    if (networks.mixture->own_embedding && splits.size() > 1) {
      fail_usage("--split: {} are named, and --features has the rows of one; embed one at a time",
                 join(splits, ", "));
    }
    const auto& own = networks.own = find_routing_features(
        *networks.mixture, options.partition, options.features, dataset.split(splits.front()));
    networks.identity = mixture_identity(*networks.mixture, options.base, options.partition);
    networks.identity["use_prices"] = use_prices;
    if (own) networks.identity["features"] = own->identity["embedding"];
    networks.identity["model"] = sha256_hex(networks.identity.dump());
  } else {
    networks.model = load_model(options.model);
    networks.identity["model"] = model_hash(options.model);
  }
  return networks;
}

std::vector<std::string> feature_files(const Dataset& dataset) {
  std::vector<std::string> files;
  for (const auto& split : dataset.split_names()) files.push_back(split + ".npy");
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  Command command(
      "moe-embed",
      "Write the features of a dataset's images: OUT/SPLIT.npy, float32 N×D (float16 with --half), "
      "row i for image i. Of a single network (--model) its pooled features; of a mixture (--base "
      "--partition --experts) the unified embedding: each image's feature from the expert that its "
      "base's feature, or its row of --features, leads to. The dataset may have other tags than "
      "the network was trained on.");
  std::string data, out;
  NetworkOptions options;
  std::vector<std::string> splits;
  bool force = false, half = false;
  auto& cli = command.cli();
  cli.add_option("DATASET", data, "Folder written by moe-ingest")->required()->type_name("");
  options.add_to(command);
  cli.add_option("--out", out, "Folder of the embedding")->required()->type_name("DIR");
  cli.add_option("--split", splits, "Splits to embed (default: train)")->type_name("NAME");
  cli.add_flag("--half", half, "Store float16");
  command.setting("--precision", "base.precision");
  command.setting("--use-prices", "eval.use_prices");
  command.device_option();
  command.stage_options(force);
  return command.run(argc, argv, [&] {
    const Precision precision = command.config().base.precision;
    const bool use_prices = command.config().eval.use_prices;
    if (splits.empty()) splits = {"train"};
    const auto engine = make_engine(command.config().device);
    require_precision(*engine, precision);
    const Dataset dataset = Dataset::open(data);
    for (const auto& name : splits) dataset.split(name);
    const Networks networks = open_networks(options, dataset, splits, use_prices);
    Json inputs = {{"dataset", dataset.fingerprint()}};
    inputs.update(networks.identity);
    inputs.update({{"splits", splits}, {"half", half}, {"precision", name_of(precision)}});
    std::vector<std::filesystem::path> reads = {data, options.model, options.base,
                                                options.partition, options.experts};
    if (networks.own) {
      reads.insert(reads.end(), networks.own->files.begin(), networks.own->files.end());
    }
    Stage stage({out, "moe-embed", inputs, force, std::move(reads), feature_files(dataset)});
    if (stage.done()) {
      log_info("{}: already done", out);
      fmt::print("{}\n", stage.results().dump());
      return;
    }
    const ModelConfig& model = networks.card().model;
    Inference inference(*engine, resnet(model, 0), model.image_size, precision);
    const int64_t width = feature_size(inference.network());
    Json results = {{"dimensions", width}};
    std::vector<std::string> files;
    const double start = now_seconds();
    for (const auto& name : splits) {
      const Split& split = dataset.split(name);
      files.push_back(name + ".npy");
      FeatureFile file(stage.folder() / files.back(), half, width);
      if (networks.mixture) {
        const Mixture& mixture = *networks.mixture;
        const Tensor routed = routing_features(inference, mixture, split, networks.own);
        const auto assignment = mixture.partition.gater.route(matrix_view(routed), use_prices);
        if (networks.own) warn_of_skew(mixture.partition, assignment);
        const Tensor features = unified_embedding(inference, mixture, split, assignment);
        file.append(features.as<float>(), split.size());
      } else {
        inference.load(networks.model->weights, options.model);
        inference.run(split, all_items(split), [&](auto, int64_t rows, auto features, auto) {
          file.append(features, rows);
        });
      }
      file.finish();
      results["images"][name] = split.size();
    }
    results["seconds"] = now_seconds() - start;
    stage.finish(files, results);
    fmt::print("{}\n", stage.results().dump());
  });
}
