// How a partition is made anew from what its experts can do: the partition.reroute: section of a
// configuration.
#pragma once

#include <cstdint>

#include "base/config.h"

namespace hardmoe {

/// The settings of re-routing (moe/reroute.h).
struct RerouteConfig {
  int64_t images = 0;      ///< held-out images that the experts are compared on; 0: all there are
  double temperature = 1;  ///< T: an image's target is softmax(−loss/T); 0: its best expert
  double penalty = 0;      ///< λ of fit_classifier; 0: chosen by cross-validation
  int rounds = 1;          ///< of a run: each re-routes by the experts of the one before
  void describe(Fields& f);
};

/// Throws Error(usage) naming the setting that is impossible.
void check_reroute_config(const RerouteConfig& config);

}  // namespace hardmoe
