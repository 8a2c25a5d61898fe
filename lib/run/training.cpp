#include "run/training.h"

#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/loader.h"
#include "moe/inference.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace hardmoe {

Json training_inputs(TrainConfig config) {
  Json json = config_json(fields_of(config));
  json.erase("checkpoint_minutes");
  json.erase("log_every");
  if (config.sampling == Sampling::natural)
    json.erase("sampling");  // what it was before there was one
  return json;
}

void check_image_training(const Engine& engine, const ImageTraining& job) {
  require_precision(engine, job.config.precision);
  check_augment(job.config.augment, job.start.card.model.image_size);
  const int64_t images =
      job.items.empty() ? job.split.size() : static_cast<int64_t>(job.items.size());
  if (images < job.config.batch) {
    fail_usage("training on {} images of split '{}' with a batch of {}: set batch to {} at most",
               images, job.split.name(), job.config.batch, images);
  }
}

Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job) {
  const ModelCard& card = job.start.card;
  const Network network = resnet(card.model, card.tags);
  LoaderOptions loading;
  loading.batch = job.config.batch;
  loading.image_size = card.model.image_size;
  loading.augment = job.config.augment;
  loading.seed = job.seed;
  loading.threads = compute_threads();
  Loader loader(job.split, resampled(job.split, job.items, job.config.sampling, job.seed), loading);
  log_info("{}: {} parameters, {} images, {} on {}", stage.folder().string(),
           human_count(static_cast<double>(parameter_count(network))), loader.items(),
           name_of(job.config.precision), engine.describe());
  TrainResult trained =
      train(engine, network, job.start.weights, loader, job.config, stage.folder());
  save_model(stage.folder(), {card, std::move(trained.weights)});
  const Json results = {{"images", loader.items()},
                        {"steps", trained.steps},
                        {"loss", trained.loss},
                        {"seconds", trained.seconds},
                        {"images_per_second", trained.images_per_second}};
  stage.finish({"model.safetensors", "model.yaml"}, results);
  std::error_code ignored;
  std::filesystem::remove(checkpoint_file(stage.folder()), ignored);
  return results;
}

}  // namespace hardmoe
