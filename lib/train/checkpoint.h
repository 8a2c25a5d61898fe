// Everything a training run needs to go on as if it had not stopped, in one file that appears
// whole: weights and optimiser state as tensors, position as JSON in the metadata. The one saved
// before it is kept, too (tensor/saved_state.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/engine.h"

namespace hardmoe {

/// Where a run is. Random state is not here: every draw is a function of seed, epoch and image.
struct Position {
  int64_t step = 0;     ///< steps done
  double loss_sum = 0;  ///< of the steps since the last log line
  int64_t loss_steps = 0;
  double last_loss = 0;                    ///< of the last log line
  double seconds = 0;                      ///< spent training, over all runs
  std::vector<double> each_loss_sum = {};  ///< loss_sum of each of several losses, not weighted
};

/// Where a training run keeps it; removed by the command once its stage is done.
std::filesystem::path checkpoint_file(const std::filesystem::path& folder);

/// run: what tells this run from others, such as Stage::identity().
void save_checkpoint(const std::filesystem::path& file, const Program& program,
                     const Position& position, const std::string& run = {});

/// Loads weights and optimiser state into the program: the newest whole ones of this run. Nothing
/// if there are none. Throws Error as load_state does.
std::optional<Position> load_checkpoint(const std::filesystem::path& file, Program& program,
                                        const std::string& run = {});

/// Removes what a finished run needs no more.
void remove_checkpoints(const std::filesystem::path& folder);

}  // namespace hardmoe
