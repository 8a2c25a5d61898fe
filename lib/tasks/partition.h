// moe-partition: an embedding → the one expert of each training image.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-partition is to do.
struct PartitionTask {
  /// An embedding, as for find_embedding; for method top_tag, `reroute`, `shards` and
  /// `sheet`, also the folder of its data set.
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path out;  ///< folder of the partition
  /// A partition whose largest expert is halved, one that gets another expert, or one whose images
  /// go to the experts that do best on them; at most one of these.
  std::filesystem::path halve, extend, reroute;
  std::filesystem::path base, experts;  ///< the mixture's folders, for `reroute`
  std::filesystem::path shards;  ///< folder for the data set laid out by experts; empty: none
  std::filesystem::path sheet;   ///< image of what the parts hold (tasks/partition_sheet.h); or ""
  bool force = false;            ///< see Stage::Options::force

  /// Returns `halve`, `extend` or `reroute`, or "". Throws Error(usage) if several are given.
  const std::filesystem::path& made_from() const;
};

/// Makes the partition unless it is done, passes its description for people to `print`, then writes
/// shards and contact sheet if asked for. Throws Error(usage), before it changes `out`, if a setting is
/// impossible or the folders do not belong together; Error(interrupted) after SIGTERM.
void make_partition(const PartitionTask& task, Config& config,
                    const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
