// The network a command looks at images with: one model, or a mixture.
#pragma once

#include <string>
#include <vector>

#include "app.h"

namespace hardmoe {

struct NetworkOptions {
  std::string model;                     ///< a single network's folder, or empty
  std::string base, partition, experts;  ///< a mixture's folders
  std::vector<std::string> features;     ///< what routes images where the base does not

  /// Adds --model, --base, --partition, --experts and --features.
  void add_to(Command& command);
  /// Whether a mixture is meant. Throws Error(usage) naming what is missing.
  bool is_mixture() const;
};

}  // namespace hardmoe
