// What an interrupted computation goes on from: FILE.safetensors, and beside it the one saved
// before, FILE.before.safetensors, for where the newest is damaged. Each says what run it is of,
// and has a checksum of all it holds. Not for results.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tensor/safetensors.h"

namespace hardmoe {

struct SavedState {
  StateDict tensors;
  Metadata metadata;
};

/// Puts the state on the disk; the one there becomes the one before. At every moment one of them is
/// there whole. identity: the run's, such as Stage::identity().
void save_state(const std::filesystem::path& file, const SavedState& state,
                const std::string& identity);

/// The newest whole state of that run; warns of a damaged one that is passed over, and of one that
/// is another run's. None where there is none. Throws Error naming the files where all that there
/// are of this run are damaged.
std::optional<SavedState> load_state(const std::filesystem::path& file,
                                     const std::string& identity);

/// The name of the one before.
std::filesystem::path state_before(const std::filesystem::path& file);

/// Removes both, as far as they are there.
void remove_states(const std::filesystem::path& file);

}  // namespace hardmoe
