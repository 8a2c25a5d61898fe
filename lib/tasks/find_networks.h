// Finds the networks in a folder that a person names: a run of moe-run, a model, or a packed mixture.
// Not for opening them: see moe/mixture.h and train/model_folder.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tasks/networks.h"

namespace hardmoe {

/// What was found in a folder.
struct FoundNetworks {
  NetworkFolders networks;   ///< the model's folder, or those of base, partition, experts, router
  std::string decoder = {};  ///< folder of the shared decoder; empty: each expert has its own
  std::string row = {};      ///< its key among a run's rows; empty for a model folder
  std::string evaluation = {};  ///< folder of moe-eval's result for it; empty if there is none
  std::string pack = {};        ///< the folder, if it is a packed mixture
};

/// Returns the networks in `folder`: a run folder (or a seed's in it, or one with the same names in
/// it: base, partition, experts, decoder), the folder of one model, or a packed mixture. `row`: which
/// row of a run's table is meant, by its key (docs/formats.md): local, the mixture whose experts
/// answer by heads of their own, which the others are compared with; shared; router; base …; empty:
/// local. All stages that the row takes are done. Throws Error(usage) if the folder is neither, or
/// has no such row, naming those it has; Error if a stage is not finished, naming it, or if a pack
/// has a format newer than this version.
FoundNetworks find_networks(const std::filesystem::path& folder, const std::string& row = {});

/// Puts a packed mixture's folders in the place of `networks.model`, if that is one. `decoder`: set to
/// its shared decoder's, if it has one. Throws as find_networks() does.
void open_pack(NetworkFolders& networks, std::string& decoder);

/// Returns the folder that moe-run made: `folder`, or the one it is a seed's folder of; empty if
/// moe-run made neither. moe-run evaluates each of its rows.
std::filesystem::path run_folder_of(const std::filesystem::path& folder);

/// Returns the keys of the rows whose networks are in a run's folder, finished or not, in the order
/// of its table; not of those that average several networks.
std::vector<std::string> rows_in(const std::filesystem::path& run);

}  // namespace hardmoe
