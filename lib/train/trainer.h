// The training loop: batches through a program, learning rate by schedule, log lines, checkpoints,
// and a clean stop on a signal. The same for a base, an expert and a decoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "nn/batch.h"
#include "train/config.h"
#include "train/validation.h"

namespace hardmoe {

/// What a run achieved.
struct TrainResult {
  StateDict weights;  ///< averaged if config.ema > 0; the last ones, or with patience the best
  int64_t steps = 0;
  double loss = 0;  ///< mean over the last log interval
  double seconds = 0;
  double images_per_second = 0;
  // Of a run that was judged:
  int64_t best_step = 0;      ///< when its best weights were taken
  double selection_loss = 0;  ///< and their loss
  StateDict best = {};        ///< they, where the result is another
  StateDict last = {};        ///< the last ones, where the result is another
};

/// Returns how a network is compiled for this configuration. `seed`: CompileOptions::seed.
CompileOptions training_options(const TrainConfig& config, uint64_t seed = 0);

/// Throws Error(usage) naming SECTION.freeze or SECTION.slow for a pattern that matches no
/// parameter of the network, or if nothing is left to train; asked before a stage is begun, so that
/// a corrected command finds its folder free.
void check_freeze(const Network& network, const TrainConfig& config, const std::string& section);

/// Trains from `initial` and returns the final weights. Writes log.jsonl, TensorBoard events and
/// checkpoints into `folder`, and resumes from the last checkpoint of `run` there (see
/// save_checkpoint). `auxiliary`: further losses, at other values of the network; log.jsonl then
/// has the sum of all, each times its weight, as "loss", and each alone as "loss/NAME". Of judgments
/// log.jsonl has "selection_loss" and "selection/METRIC". `seed`: CompileOptions::seed. Of a network with layers of experts
/// log.jsonl also has a line an epoch: "usage/LAYER", the share of the layer's choices that each
/// expert got lately, and "max_over_mean/LAYER" of these. Throws Error(interrupted), after saving, on
/// SIGTERM or SIGINT. Throws Error naming the step and what to try if loss or weights are no longer
/// finite, or if the loss ends far above that of equal scores for all tags.
TrainResult train(Engine& engine, const Network& network, const StateDict& initial,
                  BatchSource& source, const TrainConfig& config,
                  const std::filesystem::path& folder, const std::string& run = {},
                  const std::vector<LossSpec>& auxiliary = {}, const Validation& validation = {},
                  uint64_t seed = 0);

/// Returns the names of what train() writes, for Stage::Options::writes.
std::vector<std::string> training_files();

}  // namespace hardmoe
