#include "tasks/train_decoder.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "data/feature_source.h"
#include "data/selection.h"
#include "engine/network_facts.h"
#include "moe/decoder_judge.h"
#include "moe/mixing.h"
#include "moe/mixture_networks.h"
#include "moe/unified_embedding.h"
#include "nn/resnet.h"
#include "tasks/networks.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "tensor/npy.h"
#include "train/checkpoint.h"
#include "train/decoder_folder.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace hardmoe {
namespace {

/// What a decoder is trained on, checked.
struct DecoderImages {
  const Split& split;
  bool routed;  ///< its images' experts are found by the gater, not in the partition
  std::optional<EmbeddingInput> external;  ///< what routes them, if the base does not
};

DecoderImages open_images(const TrainDecoderTask& task, const Config& config,
                          const Dataset& dataset, const Mixture& mixture) {
  const std::string& name = config.decoder.split;
  if (name != "train" && name != selection_split) {
    fail_usage("decoder.split: expected train or {}, found {}", selection_split, name);
  }
  const bool routed = name != "train";
  DecoderImages images{
      routed ? require_selection(dataset, "decoder.split") : dataset.split(name), routed, {}};
  if (images.routed) {
    images.external = find_routing_features(mixture, task.partition, task.features, images.split);
  } else {
    check_training_features(task.partition, task.features);
  }
  return images;
}

/// Throws Error(usage) for settings of the mixture that no decoder can be trained with.
void check_embedding(const Config& config, const Dataset& dataset, const Mixture& mixture) {
  check_mixture_config(config.mixture);
  if (config.mixture.embedding == EmbeddingKind::expert) return;
  check_mixing(mixture, config.mixture,
               dataset.has_split(selection_split) ? &dataset.split(selection_split) : nullptr);
}

/// Returns the base's share in the embedding: as configured, or fitted for the local decoders.
double embedding_share(Engine& engine, const Mixture& mixture, const Config& config,
                       const Dataset& dataset, Precision precision) {
  if (!config.mixture.fits_share()) return config.mixture.base_share;
  MixtureConfig geometric = config.mixture;  // what a blend is to one linear decoder
  geometric.mix = Mix::geometric;
  EvalConfig one = config.eval;
  one.top_experts = 1;
  MixtureAnswers answers(engine, mixture, precision);
  return fit_on_selection(answers, dataset.split(selection_split), one, geometric).base_share;
}

/// Returns the rows that the decoder is trained on.
Tensor decoder_rows(Engine& engine, const Mixture& mixture, const DecoderImages& images,
                    const Config& config, double share, Precision precision) {
  const EmbeddingKind kind = config.mixture.embedding;
  std::optional<std::vector<uint16_t>> experts;  // none: the base routes
  if (!images.routed) {
    experts = mixture.partition.assignment;
  } else if (images.external) {
    const Tensor features = external_features(*images.external);
    experts = mixture.partition.gater.route(matrix_view(features), config.eval.use_prices);
  }
  MixtureNetworks networks(engine, mixture, precision, /*heads=*/false);
  const EmbeddedImages found = embed_by_experts(
      networks, images.split, experts, kind != EmbeddingKind::expert, config.eval.use_prices);
  return combined_embedding(kind, share, found.base_features, found.expert_features);
}

/// Returns what shapes the result besides what has done so since there are decoders.
Json further_inputs(const Config& config) {
  Json inputs = Json::object();
  if (config.decoder.split != "train") {
    inputs["split"] = config.decoder.split;
    inputs["use_prices"] = config.eval.use_prices;
  }
  if (config.mixture.embedding != EmbeddingKind::expert) {
    inputs["embedding"] = embedding_kinds[static_cast<size_t>(config.mixture.embedding)];
    inputs["base_share"] = config.mixture.base_share;
    if (config.mixture.fits_share()) inputs["use_prices"] = config.eval.use_prices;
  }
  return inputs;
}

/// Returns the split that the decoder is judged by; nullptr if it is not. Throws Error(usage) if the
/// dataset lacks a split that is needed, or if the gater routes by an embedding that the base cannot
/// compute.
const Split* judging_images(const Config& config, const Dataset& dataset, const Mixture& mixture,
                            const std::string& partition) {
  const JudgingConfig& judging = config.decoder.judging;
  if (config.decoder.epochs == 0) return nullptr;
  const Split* split = judging_split(judging, dataset, "decoder");
  if (split == nullptr || split->size() == 0) return nullptr;
  if (mixture.external_embedding) {
    fail_usage(
        "decoder.{0}: {1} was made of an external embedding, by which the images of split '{2}' "
        "cannot be routed; set decoder.{0} to 0",
        judging.patience > 0 ? "patience" : "val_every", partition, selection_split);
  }
  return split;
}

/// A trained layer, and what it took.
struct TrainedRows {
  TrainResult training;
  int64_t images = 0;  ///< an epoch
  double flops = 0;    ///< of all steps
};

/// Trains from `first`; with 0 epochs returns that. `judge`: null if it is not judged.
TrainedRows train_rows(Engine& engine, const Config& config, const Stage& stage, const Split& split,
                       const Tensor& rows, const StateDict& first, DecoderJudge* judge) {
  const TrainConfig settings = fit_batch(config.decoder, split.size(), "decoder");
  FeatureSource source(rows, split, settings.batch, config.seed,
                       resampled(split, {}, settings.sampling, config.seed));
  if (settings.epochs == 0) return {{.weights = first}, source.items(), 0};
  const Network network = linear_decoder(rows.size(1), first.at("fc.weight").size(0));
  Validation validation;
  if (judge != nullptr) {
    validation = {config.decoder.judging.every(), config.decoder.judging.patience,
                  [&](const StateDict& weights) { return judge->of(weights); }};
  }
  TrainResult trained = train(engine, network, first, source, settings, stage.folder(),
                              stage.identity(), {}, validation);
  const double flops = static_cast<double>(trained.steps * settings.batch) *
                       training_flops_per_image(network, settings.freeze);
  return {std::move(trained), source.items(), flops};
}

/// Returns the FLOPs of the forward passes that made the rows: an expert's for each image, and the
/// base's where it routes or has a share.
double embedding_flops(const Mixture& mixture, const DecoderImages& images,
                       const DecoderCard& decoder) {
  const bool routed = images.split.name() != "train" && !images.external;
  const bool base = decoder.embedding != EmbeddingKind::expert || routed;
  return static_cast<double>(images.split.size()) * trunks_cost(mixture, base ? 2 : 1).flops;
}

}  // namespace

std::string train_decoder(const TrainDecoderTask& task, Config& config) {
  check_decoder_config(config.decoder);
  check_freeze(linear_decoder(1, 1), config.decoder, "decoder");
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  check_experts_folder(task.experts);
  const Mixture mixture = open_mixture(task.base, task.partition, task.experts, "");
  const ModelCard& card = mixture.base.card;
  require_vocabulary(card, task.base, dataset);
  require_partition_of(task.partition, task.base, dataset.fingerprint());
  const DecoderImages images = open_images(task, config, dataset, mixture);
  const Split* judged_by = judging_images(config, dataset, mixture, task.partition);
  check_embedding(config, dataset, mixture);
  require_trained_on(mixture, task.experts, dataset);
  const Precision embedding = inference_precision(config.embed.precision, config.expert.precision);
  require_precision(*engine, embedding);
  require_precision(*engine, config.decoder.precision);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"seed", config.seed},
                 {"precision", name_of(embedding)},
                 {"decoder", training_inputs(config.decoder)}};
  inputs.update(mixture_identity(mixture, task.base, task.partition));
  inputs.update(further_inputs(config));
  if (config.decoder.judging.patience > 0) {  // then what it is judged by shapes the result
    inputs["decoder"].update(config.decoder.judging.inputs());
    inputs["use_prices"] = config.eval.use_prices;
  }
  if (images.external) inputs["features"] = images.external->identity["embedding"];
  auto writes = training_files();
  for (auto& name : other_weights_files()) writes.push_back(std::move(name));
  writes.insert(writes.end(), {decoder_weights_name, decoder_card_name, model_tags_name,
                               "train.npy", std::string(selection_split) + ".npy"});
  Stage stage({task.out,
               "moe-train-decoder",
               inputs,
               task.force,
               {task.dataset, task.base, task.partition, task.experts},
               std::move(writes)});
  if (stage.done()) return results_of_done(stage);
  const double begin = now_seconds();
  DecoderCard decoder;
  decoder.embedding = config.mixture.embedding;
  if (decoder.embedding != EmbeddingKind::expert) {
    decoder.base_share = embedding_share(*engine, mixture, config, dataset, embedding);
  }
  const std::string rows_name = images.split.name() + ".npy";
  if (!stage.has_kept(rows_name)) {
    save_npy(stage.folder() / rows_name,
             decoder_rows(*engine, mixture, images, config, decoder.base_share, embedding));
    stage.keep(rows_name);
  }
  const Tensor rows = load_npy(stage.folder() / rows_name);
  const StateDict first =
      first_decoder(mixture.base.weights, decoder.embedding, decoder.base_share);
  std::optional<DecoderJudge> judge;
  if (judged_by != nullptr) {
    const DecoderImages held_out{*judged_by, /*routed=*/true, {}};
    judge.emplace(*engine, *judged_by,
                  decoder_rows(*engine, mixture, held_out, config, decoder.base_share, embedding),
                  config.decoder.loss, config.decoder.precision);
  }
  const TrainedRows result =
      train_rows(*engine, config, stage, images.split, rows, first, judge ? &*judge : nullptr);
  const TrainResult& trained = result.training;
  decoder.loss = trained.steps > 0 ? config.decoder.loss : card.loss;
  auto files = save_decoder(stage.folder(), trained.weights, decoder, dataset.vocabulary());
  files.push_back(rows_name);
  save_other_weights(stage.folder(), trained);
  Json results = {{"images", result.images},
                  {"steps", trained.steps},
                  {"loss", trained.steps > 0 ? Json(trained.loss) : Json(nullptr)},
                  {"seconds", now_seconds() - begin},
                  {"training_flops", result.flops + embedding_flops(mixture, images, decoder)}};
  if (judge) {
    results["best_step"] = trained.best_step;
    results["selection_loss"] = trained.selection_loss;
  }
  stage.finish(files, std::move(results));
  remove_checkpoints(stage.folder());
  return result_line(stage.results());
}

}  // namespace hardmoe
