// The training loop: batches through a program, learning rate by schedule, log lines, checkpoints,
// and a way out by signal that loses nothing. The same for a base, an expert and a decoder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "nn/batch.h"
#include "train/config.h"

namespace hardmoe {

struct TrainResult {
  StateDict weights;  ///< averaged ones if config.ema > 0
  int64_t steps = 0;
  double loss = 0;  ///< mean over the last log interval
  double seconds = 0;
  double images_per_second = 0;
};

/// How a configuration becomes a program.
CompileOptions training_options(const TrainConfig& config);

/// Trains from `initial` and returns the final weights. Writes log.jsonl, TensorBoard events and
/// checkpoints into `folder`, and resumes from the last one there that is of `run` (see
/// save_checkpoint).
/// `auxiliary`: losses that are trained on beside the configuration's, at other values of the
/// network; then log.jsonl has the sum of all, each times its weight, as "loss", and each for
/// itself as "loss/NAME".
/// Throws Error(interrupted) after saving when SIGTERM or SIGINT came; Error(failed) if loss or
/// weights are no longer numbers, or the loss ends far above that of equal scores for all tags,
/// naming the step and what to try.
TrainResult train(Engine& engine, const Network& network, const StateDict& initial,
                  BatchSource& source, const TrainConfig& config,
                  const std::filesystem::path& folder, const std::string& run = {},
                  const std::vector<LossSpec>& auxiliary = {});

/// What train() writes into a folder, for Stage::Options::writes.
std::vector<std::string> training_files();

}  // namespace hardmoe
