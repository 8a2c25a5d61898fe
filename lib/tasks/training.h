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
#include "tasks/config.h"
#include "train/config.h"
#include "train/model_folder.h"
#include "train/trainer.h"

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
  double judged_every = 0;       ///< see Validation (train/validation.h)
  int patience = 0;
  /// The split and its images by which the network is judged; no images: it is not.
  const Split* selection = nullptr;
  std::vector<int64_t> selection_items = {};
  /// What an image of the split is to be told as, in place of its tags; empty: its tags.
  std::vector<uint16_t> labels = {};
  std::optional<Teacher> teacher = {};
};

/// Throws Error(usage) naming the setting that is impossible for this image size or device. Call it
/// before the stage begins, so that a corrected command finds its folder free.
void check_image_training(const Engine& engine, const ImageTraining& job);

/// Returns the split by which a network is judged; nullptr if it is not. Throws Error(usage) naming
/// SECTION.patience if that needs it and the dataset has none.
const Split* judging_split(const JudgingConfig& judging, const Dataset& dataset,
                           const std::string& section);

/// Returns the names of what a stage that trains a network writes, for Stage::Options::writes.
std::vector<std::string> model_stage_files();

/// Writes those weights of a judged run that are not its result: best.safetensors or
/// last.safetensors, or neither where they are the same. Removes such a file of an earlier attempt.
void save_other_weights(const std::filesystem::path& folder, const TrainResult& trained);
/// Returns the names of these files, for Stage::Options::writes.
std::vector<std::string> other_weights_files();

/// Trains, and writes model.safetensors, model.yaml and tags.tsv; where the best weights and the last
/// ones are not the same, also what save_other_weights() writes.
/// Returns the results: images, steps, loss, seconds, images_per_second, training_flops (of all steps
/// on all images of a batch, see engine/network_facts.h); where it was judged also best_step and
/// selection_loss.
Json train_model(const Stage& stage, Engine& engine, const ImageTraining& job);
/// Marks the stage of train_model done.
void finish_model_stage(Stage& stage, const Json& results);

/// Does both, and returns the results.
Json train_stage(Stage& stage, Engine& engine, const ImageTraining& job);

}  // namespace hardmoe
