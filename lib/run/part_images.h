// How many images each expert learns, by the record of its partition.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "run/stage_graph.h"

namespace hardmoe {

/// Knows the parts of partitions; each partition.json is read once, when it is first asked about.
class PartImages {
 public:
  /// Returns the images of an expert's part; -1 if the stage is no expert, or if that is not known
  /// (yet).
  int64_t of(const RunStage& stage);

 private:
  std::map<std::string, std::vector<int64_t>> sizes_;  ///< by the partition's folder
};

}  // namespace hardmoe
