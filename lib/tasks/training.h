// Training one network on images as a stage: what moe-train-base and moe-train-expert share.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/stage.h"
#include "data/dataset.h"
#include "engine/engine.h"
#include "train/config.h"
#include "train/model_folder.h"

namespace hardmoe {

/// The settings with as many images a step as there are, where that is less than `batch`; warns
/// then, naming SECTION.batch.
TrainConfig fit_batch(TrainConfig config, int64_t images, const std::string& section);

/// The settings of a training run that shape its result (checkpoint and log intervals do not).
Json training_inputs(TrainConfig config);

struct ImageTraining {
  const Split& split;
  std::vector<int64_t> items;  ///< images to train on; empty: all
  Model start;                 ///< architecture and first weights
  TrainConfig config;
  std::string section;  ///< where the settings stand in the configuration: base, expert
  uint64_t seed = 1;
  const Vocabulary& vocabulary;  ///< the dataset's
};

/// Throws Error(usage) naming the setting that this image size or this device cannot meet; asked
/// before the stage is begun, so that a corrected command finds its folder free.
void check_image_training(const Engine& engine, const ImageTraining& job);

/// What a stage that trains a network writes, for Stage::Options::writes.
std::vector<std::string> model_stage_files();

/// Trains, writes model.safetensors, model.yaml and tags.tsv and marks the stage done. Returns its
/// results: images, steps, loss, seconds, images_per_second.
Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job);

}  // namespace hardmoe
