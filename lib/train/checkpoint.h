// A checkpoint holds everything a training run needs to continue as if it had not stopped, in one
// file that appears whole: weights and optimiser state as tensors, the position as JSON in the
// metadata. The one before it is kept too (tensor/saved_state.h). Not for finished models: see
// train/model_folder.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/engine.h"

namespace hardmoe {

/// The best weights so far of a run that is judged, by the loss on a selection split.
struct BestWeights {
  int64_t judged_at = 0;  ///< step of the last judgment; 0: none yet
  int64_t step = 0;       ///< at which the weights were taken
  double loss = 0;        ///< theirs
  StateDict weights = {};
};

/// How far a run has come. Random state is not needed: every draw depends on seed, epoch and image.
struct Position {
  int64_t step = 0;                        ///< steps done
  double loss_sum = 0;                     ///< over the steps since the last log line
  int64_t loss_steps = 0;                  ///< the number of these steps
  double last_loss = 0;                    ///< in the last log line
  double seconds = 0;                      ///< spent training, over all runs
  std::vector<double> each_loss_sum = {};  ///< loss_sum of each of several losses, not weighted
  BestWeights best = {};
};

/// Returns the checkpoint's path in a run's folder. The command removes it once its stage is done.
std::filesystem::path checkpoint_file(const std::filesystem::path& folder);

/// Saves the program's state. `run`: the run's identity, such as Stage::identity().
void save_checkpoint(const std::filesystem::path& file, const Program& program,
                     const Position& position, const std::string& run = {});

/// Loads weights and optimiser state into the program, from the newest undamaged checkpoint of this
/// run. Returns nothing if there is none. Throws Error as load_state does.
std::optional<Position> load_checkpoint(const std::filesystem::path& file, Program& program,
                                        const std::string& run = {});

/// Removes the checkpoints of a finished run.
void remove_checkpoints(const std::filesystem::path& folder);

}  // namespace hardmoe
