// The network a command looks at images with: one model, or a mixture.
#pragma once

#include <string>

#include "app.h"

namespace hardmoe {

struct NetworkOptions {
  std::string model;                     ///< a single network's folder, or empty
  std::string base, partition, experts;  ///< a mixture's folders

  /// Adds --model, --base, --partition and --experts.
  void add_to(Command& command);
  /// Whether a mixture is meant. Throws Error(usage) naming what is missing.
  bool is_mixture() const;
};

}  // namespace hardmoe
