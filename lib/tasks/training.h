// Trains one network on images as a stage, for moe-train-base and moe-train-expert.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/stage.h"
#include "data/dataset.h"
#include "engine/engine.h"
#include "train/config.h"
#include "train/model_folder.h"

namespace hardmoe {

/// Returns the settings with a batch of at most `images`; warns if that lowers it, naming
/// SECTION.batch.
TrainConfig fit_batch(TrainConfig config, int64_t images, const std::string& section);

/// Returns the settings that shape the result of training (checkpoint and log intervals do not).
Json training_inputs(TrainConfig config);

/// A model that the trained network is to stay near: a second loss, of `weight`, is against its
/// scores for the same views (LossSpec::teacher).
struct Teacher {
  Model model;
  double weight = 0;
  double temperature = 1;
};

/// What to train, on which images.
struct ImageTraining {
  const Split& split;
  std::vector<int64_t> items;  ///< images to train on; empty: all
  Model start;                 ///< architecture and first weights
  TrainConfig config;
  std::string section;  ///< of the configuration, that has the settings: base, expert
  uint64_t seed = 1;
  const Vocabulary& vocabulary;  ///< the dataset's
  std::optional<Teacher> teacher = {};
};

/// Throws Error(usage) naming the setting that is impossible for this image size or device. Call it
/// before the stage begins, so that a corrected command finds its folder free.
void check_image_training(const Engine& engine, const ImageTraining& job);

/// Returns the names of what a stage that trains a network writes, for Stage::Options::writes.
std::vector<std::string> model_stage_files();

/// Trains, writes model.safetensors, model.yaml and tags.tsv, and marks the stage done. Returns the
/// stage's results: images, steps, loss, seconds, images_per_second, training_flops (of all steps
/// on all images of a batch, see engine/network_facts.h).
Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job);

}  // namespace hardmoe
