#include "tasks/finetune.h"

#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/loader.h"
#include "engine/network_facts.h"
#include "moe/mixture.h"
#include "nn/architecture.h"
#include "tasks/networks.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/checkpoint.h"
#include "train/decoder_folder.h"
#include "train/joint_trainer.h"
#include "train/trainer.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* command_name = "moe-finetune";

/// Throws Error(usage) unless the mixture was trained on this data set, with the loss asked for.
void check_mixture(const FinetuneTask& task, const Mixture& mixture, const Dataset& dataset,
                   LossKind loss) {
  require_vocabulary(mixture.base.card, task.base, dataset);
  require_partition_of(task.partition, task.base, dataset.fingerprint());
  require_trained_on(mixture, task.experts, dataset);
  if (mixture.embedding != EmbeddingKind::expert) {
    fail_usage("{}: reads more than the experts' features; train a decoder of those alone",
               task.decoder);
  }
  if (mixture.losses.front() != loss) {
    fail_usage("finetune.loss: expected {}, which {} was trained with",
               loss_names.at(static_cast<size_t>(mixture.losses.front())), task.decoder);
  }
}

/// The loaders of all parts, which share what images are kept decoded.
std::vector<std::unique_ptr<Loader>> loaders_of(const Split& split,
                                                const std::vector<std::vector<int64_t>>& parts,
                                                const TrainConfig& config, int image_size,
                                                uint64_t seed) {
  std::vector<std::unique_ptr<Loader>> loaders;
  for (size_t k = 0; k < parts.size(); ++k) {
    LoaderOptions options;
    options.batch = config.batch;
    options.image_size = image_size;
    options.augment = config.augment;
    options.seed = seed + 1000 * (k + 2);
    options.threads = std::max(1, compute_threads() / static_cast<int>(parts.size()));
    options.cache_bytes /= std::ssize(parts);
    loaders.push_back(std::make_unique<Loader>(
        split, resampled(split, parts[k], config.sampling, options.seed), options));
  }
  return loaders;
}

void check_parts(const std::vector<std::vector<int64_t>>& parts, int batch) {
  for (size_t k = 0; k < parts.size(); ++k) {
    if (std::ssize(parts[k]) >= batch) continue;
    fail_usage("finetune.batch: expert {} has {} images, fewer than a batch of {}; lower it", k,
               parts[k].size(), batch);
  }
}

std::vector<std::string> files_written() {
  auto files = training_files();
  files.insert(files.end(), {"config.yaml", "experts/*/*", "decoder/*"});
  return files;
}

/// Writes one of the result's folders, a stage of its own, so that it is read as any expert or
/// decoder. Returns the paths of its files in the whole result.
template <class Write>
std::vector<std::string> write_folder(const Stage& whole, const std::string& name, Json inputs,
                                      const Write& write) {
  Stage stage({whole.folder() / name, command_name, std::move(inputs), /*force=*/true, {}, {"*"}});
  if (stage.done()) stage.reopen();  // of a call that was killed before the whole was done
  const std::vector<std::string> files = write(stage.folder());
  stage.finish(files, Json::object());
  std::vector<std::string> paths = {name + "/stage.json"};
  for (const auto& file : files) paths.push_back(fmt::format("{}/{}", name, file));
  return paths;
}

/// Writes all experts and the decoder; returns the paths of their files.
std::vector<std::string> write_results(const FinetuneTask& task, const Stage& stage,
                                       const Json& inputs, Mixture mixture,
                                       const std::vector<std::vector<int64_t>>& parts,
                                       const JointResult& trained, LossKind loss,
                                       const Vocabulary& vocabulary) {
  ModelCard card = mixture.base.card;
  card.loss = loss;
  std::vector<std::string> outputs;
  const auto add = [&](const std::vector<std::string>& files) {
    outputs.insert(outputs.end(), files.begin(), files.end());
  };
  for (size_t k = 0; k < parts.size(); ++k) {
    Json own = {{"dataset", inputs.at("dataset")},
                {"base", inputs.at("base")},
                {"number", std::to_string(k)},
                {"images", fingerprint_of_items(parts[k])},
                {"finetune", inputs}};
    const std::string name = fmt::format("experts/{}", k);
    add(write_folder(stage, name, std::move(own), [&](const fs::path& folder) {
      save_model(folder, {card, trained.weights[k]});
      save_vocabulary(folder / model_tags_name, vocabulary);
      return std::vector<std::string>{"model.safetensors", "model.yaml", model_tags_name};
    }));
    mixture.experts[k] = stage.folder() / name;
  }
  Json own = mixture_identity(mixture, task.base, task.partition);
  own["dataset"] = inputs.at("dataset");
  add(write_folder(stage, "decoder", std::move(own), [&](const fs::path& folder) {
    const StateDict& weights = trained.weights.front();
    DecoderCard decoder;
    decoder.loss = loss;
    return save_decoder(
        folder, {{"fc.weight", weights.at("fc.weight")}, {"fc.bias", weights.at("fc.bias")}},
        decoder, vocabulary);
  }));
  return outputs;
}

}  // namespace

std::string finetune(const FinetuneTask& task, Config& config) {
  const FinetuneConfig& settings = config.finetune;
  check_joint_config(settings, settings.turn_steps, "finetune");
  const auto engine = make_engine(config.device);
  require_precision(*engine, settings.precision);
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& split = dataset.split("train");
  check_experts_folder(task.experts);
  const Mixture mixture = open_mixture(task.base, task.partition, task.experts, task.decoder);
  check_mixture(task, mixture, dataset, settings.loss);
  const ModelCard& card = mixture.base.card;
  const Network network = network_of(card.model, card.tags);
  check_freeze(network, settings, "finetune");
  check_augment(settings.augment, card.model.image_size);
  const auto parts = items_by_expert(mixture.partition.assignment, mixture.partition.gater.experts);
  check_parts(parts, settings.batch);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"seed", config.seed},
                 {"finetune", training_inputs(settings)},
                 {"turn_steps", settings.turn_steps},
                 {"decoder", decoder_fingerprint(task.decoder)}};
  inputs.update(mixture_identity(mixture, task.base, task.partition));
  Stage stage({task.out,
               command_name,
               inputs,
               task.force,
               {task.dataset, task.base, task.partition, task.experts, task.decoder},
               files_written()});
  if (stage.done()) return results_of_done(stage);
  write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
  const auto loaders = loaders_of(split, parts, settings, card.model.image_size, config.seed);
  std::vector<StateDict> initial;
  std::vector<BatchSource*> sources;
  int64_t images = 0;
  for (size_t k = 0; k < parts.size(); ++k) {
    initial.push_back(expert_state_dict(mixture, static_cast<int64_t>(k)));
    sources.push_back(loaders[k].get());
    images += loaders[k]->items();
  }
  const JointResult trained = train_jointly(*engine, network, initial, sources, settings,
                                            settings.turn_steps, stage.folder(), stage.identity());
  const auto outputs = write_results(task, stage, inputs, mixture, parts, trained, settings.loss,
                                     dataset.vocabulary());
  stage.finish(outputs,
               {{"images", images},
                {"steps", trained.steps},
                {"loss", trained.loss},
                {"seconds", trained.seconds},
                {"training_flops", static_cast<double>(trained.steps * settings.batch) *
                                       training_flops_per_image(network, settings.freeze)}});
  remove_checkpoints(stage.folder());
  return result_line(stage.results());
}

}  // namespace hardmoe
