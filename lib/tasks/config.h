// The whole configuration: one YAML file for all commands. Each command reads its own sections; an
// unknown key anywhere is an error. `moe-run` writes the frozen copy beside its results.
#pragma once

#include <cstdint>

#include "base/config.h"
#include "ingest/ingest_config.h"
#include "moe/evaluation.h"
#include "moe/partition_config.h"
#include "nn/resnet.h"
#include "train/config.h"
#include "train/inference_precision.h"

namespace hardmoe {

/// The section base.
struct BaseConfig : TrainConfig {
  std::string init;  ///< weights to begin with (train/warm_start.h); empty: random ones
  void describe(Fields& f);
};

/// The weights an expert begins with.
enum class ExpertStart { base, scratch };

/// The section expert.
struct ExpertConfig : TrainConfig {
  ExpertStart start = ExpertStart::base;
  double distill = 0;  ///< weight of the loss against the base's scores (LossSpec::teacher)
  double distill_temperature = 1;
  void describe(Fields& f);
};

/// Throws Error(usage) naming a setting that keeps an expert near its base and is out of range or
/// without effect.
void check_nearness(const ExpertConfig& config);

/// The section embed.
struct EmbedConfig {
  InferencePrecision precision = InferencePrecision::training;
  bool half = false;  ///< store float16
  void describe(Fields& f);
};

/// The section run.
struct RunConfig {
  std::string dataset;                 ///< an existing dataset; empty: made of ingest.sources
  std::vector<std::string> embedding;  ///< external, of the training images; empty: the base's
  std::vector<std::string> features;   ///< the external embedding of the images to evaluate on
  bool controls = true;                ///< also train the base as long as base and expert together
  int parallel = 1;  ///< experts trained at a time (on each of `gpus`), each in its own process
  int gpus = 0;      ///< experts are spread over cuda:0 … cuda:gpus-1; 0: all use Config::device
  void describe(Fields& f);
};

/// All sections.
struct Config {
  uint64_t seed = 1;
  std::string device = "cpu";
  IngestConfig ingest;
  ModelConfig model;
  BaseConfig base;
  EmbedConfig embed;
  PartitionConfig partition;
  ExpertConfig expert;
  TrainConfig decoder;
  EvalConfig eval;
  RunConfig run;

  Config();
  void describe(Fields& f);
};

}  // namespace hardmoe
