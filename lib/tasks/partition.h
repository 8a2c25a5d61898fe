// moe-partition: an embedding → the one expert of each training image.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

struct PartitionTask {
  /// An embedding, as find_embedding takes it; and, for method top_tag and `shards`, the folder of
  /// the data set it is of.
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path out;  ///< folder of the partition
  /// A partition whose largest expert is halved, or that gets an expert more; one of them at most.
  std::filesystem::path halve, extend;
  std::filesystem::path shards;  ///< folder for the data set laid out by experts; empty: none
  bool force = false;            ///< as Stage::Options::force

  /// The partition that `halve` or `extend` names, or "". Throws Error(usage) for both.
  const std::filesystem::path& grown_from() const;
};

/// Makes the partition, or finds it done, and hands `print` its description for people; writes the
/// shards then, where they are asked for. Throws Error(usage) for settings that cannot be met and
/// folders that do not belong together, before `out` is touched; Error(interrupted) after SIGTERM.
void make_partition(const PartitionTask& task, Config& config,
                    const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
