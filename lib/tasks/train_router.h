// moe-train-router: a data set and a partition → a small CNN that gives the partition's experts.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-train-router is to do.
struct TrainRouterTask {
  std::string dataset;    ///< folder of moe-ingest
  std::string base;       ///< folder of the mixture's base
  std::string partition;  ///< folder of moe-partition
  std::string out;        ///< folder of the router
  bool force = false;     ///< see Stage::Options::force
};

/// Returns the network that the settings mean for a base: router_model(), or router_on_base().
ModelConfig router_network(const RouterConfig& config, const ModelConfig& base, int64_t experts);

/// Trains the router unless it is done, and returns the results as a line of JSON: those of
/// train_base(), `flops_per_image`, `share_of_base` (of its trunk's FLOPs; with a prefix also
/// `tail_share_of_base`, of what is behind that), and `agreement`, the share of the images of
/// `split` (the data set's 'selection', else 'val') that it sends where the partition does; null
/// where the partition's embedding is external or there is no such split.
/// Throws as train_base() does; Error(usage) also for a partition at random, which no network can
/// learn.
std::string train_router(const TrainRouterTask& task, Config& config);

}  // namespace hardmoe
