// Trains one network on images as a stage, for moe-train-base and moe-train-expert.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/stage.h"
#include "data/dataset.h"
#include "data/loader.h"
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
  const Vocabulary& vocabulary;  ///< the dataset's, or what is learned in its place
  ExtraImages extra = {};        ///< shown besides the items
  int64_t epochs_of_images = 0;  ///< if not 0: config.epochs are passes over so many images
  int patience = 0;              ///< see EarlyStop (train/trainer.h)
  /// With patience: the split and its images on which the loss is taken; no images: no early stop.
  const Split* selection = nullptr;
  std::vector<int64_t> selection_items = {};
  /// What an image of the split is to be told as, in place of its tags; empty: its tags.
  std::vector<uint16_t> labels = {};
  std::optional<Teacher> teacher = {};
};

/// Throws Error(usage) naming the setting that is impossible for this image size or device. Call it
/// before the stage begins, so that a corrected command finds its folder free.
void check_image_training(const Engine& engine, const ImageTraining& job);

/// Returns the names of what a stage that trains a network writes, for Stage::Options::writes.
std::vector<std::string> model_stage_files();

/// Trains, and writes model.safetensors, model.yaml and tags.tsv. Returns the results: images,
/// steps, loss, seconds, images_per_second, training_flops (of all steps on all images
/// of a batch, see engine/network_facts.h); with an early stop also best_step and selection_loss.
Json train_model(const Stage& stage, Engine& engine, const ImageTraining& job);
/// Marks the stage of train_model done.
void finish_model_stage(Stage& stage, const Json& results);

/// Does both, and returns the results.
Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job);

}  // namespace hardmoe
