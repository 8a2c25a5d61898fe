#include "moe/reroute_config.h"

#include "base/error.h"

namespace hardmoe {

void RerouteConfig::describe(Fields& f) {
  f.add("images", images, "held-out images that experts are compared on at most; 0: all");
  f.add("temperature", temperature,
        "T: an image belongs to experts by softmax(-loss/T); 0: to its best one");
  f.add("penalty", penalty,
        "on the squared distance from the old rule; 0: chosen by cross-validation");
  f.add("rounds", rounds,
        "how often moe-run re-routes (run.levers), each time by the experts of the round before");
}

void check_reroute_config(const RerouteConfig& config) {
  if (config.images < 0) {
    fail_usage("partition.reroute.images: expected 0 (all) or more, found {}", config.images);
  }
  if (!(config.temperature >= 0)) {
    fail_usage("partition.reroute.temperature: expected 0 or more, found {}", config.temperature);
  }
  if (!(config.penalty >= 0)) {
    fail_usage("partition.reroute.penalty: expected 0 (chosen) or more, found {}", config.penalty);
  }
  if (config.rounds < 1 || config.rounds > 100) {
    fail_usage("partition.reroute.rounds: expected 1 to 100, found {}", config.rounds);
  }
}

}  // namespace hardmoe
