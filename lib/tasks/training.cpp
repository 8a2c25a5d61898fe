#include "tasks/training.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/selection.h"
#include "engine/balance_specs.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "nn/teacher.h"
#include "tensor/safetensors.h"
#include "train/checkpoint.h"
#include "train/inference.h"
#include "train/selection_judge.h"

namespace hardmoe {
namespace {

constexpr const char *best_weights_name = "best.safetensors",
                     *last_weights_name = "last.safetensors";

}  // namespace

TrainConfig fit_batch(TrainConfig config, int64_t images, const std::string& section) {
  if (images < config.batch) {
    log_warning("{}.batch is {}, there are {} images: each step takes all of them", section,
                config.batch, images);
    config.batch = static_cast<int>(images);
  }
  return config;
}

Json training_inputs(TrainConfig config) {
  Json json = config_json(fields_of(config));
  json.erase("checkpoint_minutes");
  json.erase("log_every");
  if (config.sampling == Sampling::natural)
    json.erase("sampling");  // what it was before there was one
  if (config.freeze.empty()) json.erase("freeze");
  if (config.augment.jitter == 0) json["augment"].erase("jitter");
  return json;
}

const Split* judging_split(const JudgingConfig& judging, const Dataset& dataset,
                           const std::string& section) {
  if (judging.patience > 0) return &require_selection(dataset, section + ".patience");
  const bool judged = judging.every() > 0 && dataset.has_split(selection_split);
  return judged ? &dataset.split(selection_split) : nullptr;
}

std::vector<std::string> model_stage_files() {
  auto files = training_files();
  files.insert(files.end(), {"model.safetensors", "model.yaml", model_tags_name, "config.yaml"});
  for (auto& name : other_weights_files()) files.push_back(std::move(name));
  return files;
}

namespace {

/// Warns if the rate is to step after the training's end.
void warn_of_late_steps(const TrainConfig& config, const std::string& section) {
  if (config.schedule != ScheduleKind::step) return;
  for (const double epoch : config.step_epochs) {
    if (epoch < config.epochs) continue;
    log_warning(
        "{0}.step_epochs: {1} is not before the end, {0}.epochs {2}: the rate takes no step "
        "there",
        section, epoch, config.epochs);
  }
}

}  // namespace

void check_image_training(const Engine& engine, const ImageTraining& job) {
  require_precision(engine, job.config.precision);
  const ModelCard& card = job.start.card;
  check_augment(job.config.augment, card.model.image_size);
  check_freeze(network_of(card.model, card.tags), job.config, job.section);
  warn_of_late_steps(job.config, job.section);
}

namespace {

/// Returns the settings for epochs of the loader's batches that take as many steps as the same
/// number of epochs of `batches`.
TrainConfig with_own_epochs(TrainConfig config, int64_t batches, const Loader& loader) {
  const double factor = static_cast<double>(std::max<int64_t>(1, batches)) /
                        static_cast<double>(loader.batches_per_epoch());
  config.epochs *= factor;
  for (double& epoch : config.step_epochs) epoch *= factor;
  return config;
}

/// What is trained in fact: the network, with its teacher beside it if it has one.
struct Lesson {
  Network network;
  StateDict weights;
  TrainConfig config;
  std::vector<LossSpec> auxiliary;
};

Lesson lesson_of(const ImageTraining& job, const SparseNetwork& student,
                 const TrainConfig& config) {
  const Network& network = student.network;
  const std::vector<LossSpec> balance = balance_specs(student.losses);
  if (!job.teacher) return {network, job.start.weights, config, balance};
  const Teacher& teacher = *job.teacher;
  const ModelCard& card = teacher.model.card;
  TaughtNetwork taught = with_teacher(network, network_of(card.model, card.tags));
  Lesson lesson{std::move(taught.network),
                with_teacher(job.start.weights, teacher.model.weights),
                config,
                {{config.loss, 0, static_cast<float>(teacher.weight), -1, "distill", taught.teacher,
                  static_cast<float>(teacher.temperature)}}};
  lesson.config.freeze.emplace_back(teacher_parameters);
  lesson.auxiliary.insert(lesson.auxiliary.end(), balance.begin(), balance.end());
  return lesson;
}

}  // namespace

void save_other_weights(const std::filesystem::path& folder, const TrainResult& trained) {
  for (const auto& [name, weights] :
       {std::pair(best_weights_name, &trained.best), {last_weights_name, &trained.last}}) {
    if (weights->empty()) {
      try_remove(folder / name);
    } else {
      save_safetensors(folder / name, without_teacher(*weights), {{"format", "pt"}});
    }
  }
}

std::vector<std::string> other_weights_files() { return {best_weights_name, last_weights_name}; }

Json train_model(const Stage& stage, Engine& engine, const ImageTraining& job) {
  const ModelCard& card = job.start.card;
  const SparseNetwork built = sparse_network_of(card.model, card.tags);
  const Network& network = built.network;
  const int64_t images =
      job.extra.per_epoch +
      (job.items.empty() ? job.split.size() : static_cast<int64_t>(job.items.size()));
  TrainConfig config = fit_batch(job.config, images, job.section);
  LoaderOptions loading;
  loading.batch = config.batch;
  loading.image_size = card.model.image_size;
  loading.augment = config.augment;
  loading.seed = job.seed;
  loading.threads = compute_threads();
  loading.labels = job.labels;
  Loader loader(job.split, resampled(job.split, job.items, config.sampling, job.seed), loading,
                job.extra);
  if (job.epochs_of_images > 0) {
    config = with_own_epochs(config, job.epochs_of_images / job.config.batch, loader);
  }
  Validation validation;
  std::optional<SelectionJudge> judge;
  if (job.judged_every > 0 && !job.selection_items.empty()) {
    judge.emplace(engine, network, card.model.image_size, *job.selection, job.selection_items,
                  config);
    validation = {job.judged_every, job.patience,
                  [&](const StateDict& weights) { return judge->of(weights); }};
  }
  log_info("{}: {} parameters, {} images, {} on {}", stage.folder().string(),
           human_count(static_cast<double>(parameter_count(network))), loader.items(),
           name_of(config.precision), engine.describe());
  const Lesson lesson = lesson_of(job, built, config);
  TrainResult trained =
      train(engine, lesson.network, lesson.weights, loader, lesson.config, stage.folder(),
            stage.identity(), lesson.auxiliary, validation, job.seed);
  ModelCard trained_card = card;
  trained_card.loss = config.loss;
  save_model(stage.folder(), {trained_card, without_teacher(trained.weights)});
  save_other_weights(stage.folder(), trained);
  save_vocabulary(stage.folder() / model_tags_name, job.vocabulary);
  Json results = {
      {"images", loader.items()},
      {"steps", trained.steps},
      {"loss", trained.loss},
      {"seconds", trained.seconds},
      {"images_per_second", trained.images_per_second},
      {"training_flops", static_cast<double>(trained.steps * config.batch) *
                             training_flops_per_image(lesson.network, lesson.config.freeze)}};
  if (judge) {
    results["best_step"] = trained.best_step;
    results["selection_loss"] = trained.selection_loss;
  }
  return results;
}

void finish_model_stage(Stage& stage, const Json& results) {
  stage.finish({"model.safetensors", "model.yaml", model_tags_name}, results);
  remove_checkpoints(stage.folder());
}

Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job) {
  Json results = train_model(stage, engine, job);
  finish_model_stage(stage, results);
  return results;
}

}  // namespace hardmoe
