// Trains several trunks together with the one classifier head they share, in turns: each trunk
// takes a few steps on its own images with the head as the one before left it, again and again. One
// program, whose weights and moments are exchanged; one process. With few steps a turn it comes
// near to training all of them at once. Not for one network: see train/trainer.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "nn/batch.h"
#include "train/config.h"

namespace hardmoe {

/// What a joint training achieved.
struct JointResult {
  std::vector<StateDict> weights;  ///< of each network, all with the same head
  int64_t steps = 0;               ///< over all networks
  double loss = 0;                 ///< mean over the last round, in which each had a turn
  double seconds = 0;
};

/// Throws Error(usage) naming SECTION's key that a joint training cannot follow: it has SGD without
/// averaged weights, and turns of at least one step.
void check_joint_config(const TrainConfig& config, int turn_steps, const std::string& section);

/// Trains K networks of one architecture, whose parameters "fc.weight" and "fc.bias" are shared;
/// they begin as the first one's. `sources`: K, each network's own images. `config.epochs` is of an
/// average part; each network takes as many steps. Writes log.jsonl (a line a round), events and,
/// between turns, checkpoints into `folder`, from which the same `run` goes on to the same bytes.
/// Throws Error(interrupted) on a signal, after the turn; Error if a loss or weight is not finite,
/// or if the last round's loss is that of networks that learned nothing.
JointResult train_jointly(Engine& engine, const Network& network,
                          const std::vector<StateDict>& initial,
                          const std::vector<BatchSource*>& sources, const TrainConfig& config,
                          int turn_steps, const std::filesystem::path& folder,
                          const std::string& run);

}  // namespace hardmoe
