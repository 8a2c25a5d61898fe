// The whole configuration, one YAML file for every command; each command reads its own sections and
// an unknown key anywhere is an error. `moe-run` writes the frozen copy beside its results.
#pragma once

#include <cstdint>

#include "base/config.h"
#include "moe/partition.h"
#include "nn/resnet.h"
#include "train/config.h"

namespace hardmoe {

/// How an expert begins.
enum class ExpertStart { base, scratch };

struct ExpertConfig : TrainConfig {
  ExpertStart start = ExpertStart::base;
  void describe(Fields& f);
};

struct EvalConfig {
  std::string split = "val";
  int top_experts = 1;     ///< experts asked an image, weighted by softmax(-d²/T)
  double temperature = 0;  ///< T; 0: fitted on part of the training images
  bool use_prices = true;  ///< route by argmin d² + price as in the fit; false: by distance alone
  void describe(Fields& f);
};

struct RunConfig {
  std::vector<std::string> sources;  ///< what moe-ingest reads, where the run ingests
  std::vector<std::string>
      ingest_options;   ///< further options for moe-ingest, as on its command line
  std::string dataset;  ///< an existing dataset, where it does not
  int parallel = 1;     ///< experts trained at a time, each in its own process
  void describe(Fields& f);
};

struct Config {
  uint64_t seed = 1;
  ModelConfig model;
  TrainConfig base;
  PartitionConfig partition;
  ExpertConfig expert;
  TrainConfig decoder;
  EvalConfig eval;
  RunConfig run;

  Config();
  void describe(Fields& f);
};

}  // namespace hardmoe
