#include "fuzz/models/targets.h"

namespace hardmoe {

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = {
      {"model", "fuzz_folders/model", {".folder"}, fuzz_model},
      {"earlier_weights", "fuzz_folders/earlier_weights", {".folder"}, fuzz_earlier_weights},
      {"decoder", "fuzz_folders/decoder", {".folder"}, fuzz_decoder},
      {"pack", "fuzz_folders/pack", {".folder"}, fuzz_pack},
      {"gater", "fuzz_folders/gater", {".safetensors"}, fuzz_gater},
      {"partition", "fuzz_folders/partition", {".folder"}, fuzz_partition},
      {"evaluation", "fuzz_folders/evaluation", {".folder"}, fuzz_evaluation},
  };
  return targets;
}

}  // namespace hardmoe
