// Checkpoints of an interrupted computation: FILE.safetensors, and the one before it as
// FILE.before.safetensors, in case the newest is damaged. Each records the run it belongs to and a
// checksum of its contents. Not for results.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tensor/safetensors.h"

namespace hardmoe {

/// The contents of a checkpoint.
struct SavedState {
  StateDict tensors;
  Metadata metadata;
};

/// Saves a state; the previous one becomes the one before. One of them is whole on disk at every
/// moment. `identity`: the run's, such as Stage::identity().
void save_state(const std::filesystem::path& file, const SavedState& state,
                const std::string& identity);

/// Returns the newest undamaged state of that run, or nothing if the run saved none. Warns of a
/// damaged state that is skipped and of one that belongs to another run. Throws Error naming the
/// files if all states of this run are damaged.
std::optional<SavedState> load_state(const std::filesystem::path& file,
                                     const std::string& identity);

/// Returns the name of the file that holds the state before.
std::filesystem::path state_before(const std::filesystem::path& file);

/// Removes both files, if they exist.
void remove_states(const std::filesystem::path& file);

}  // namespace hardmoe
