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

/// The settings of a training run that shape its result (checkpoint and log intervals do not).
Json training_inputs(TrainConfig config);

struct ImageTraining {
  const Split& split;
  std::vector<int64_t> items;  ///< images to train on; empty: all
  Model start;                 ///< architecture and first weights
  TrainConfig config;
  uint64_t seed = 1;
};

/// Throws Error(usage) naming the setting that these images or this device cannot meet; asked
/// before the stage is begun, so that a corrected command finds its folder free.
void check_image_training(const Engine& engine, const ImageTraining& job);

/// Trains, writes model.safetensors and model.yaml and marks the stage done. Returns its results:
/// images, steps, loss, seconds, images_per_second.
Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job);

}  // namespace hardmoe
