// The whole configuration, one YAML file for every command; each command reads its own sections and
// an unknown key anywhere is an error. `moe-run` writes the frozen copy beside its results.
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

struct BaseConfig : TrainConfig {
  std::string init;  ///< weights to begin with (train/warm_start.h); empty: fresh ones
  void describe(Fields& f);
};

/// How an expert begins.
enum class ExpertStart { base, scratch };

struct ExpertConfig : TrainConfig {
  ExpertStart start = ExpertStart::base;
  void describe(Fields& f);
};

struct EmbedConfig {
  InferencePrecision precision = InferencePrecision::training;
  bool half = false;  ///< store float16
  void describe(Fields& f);
};

struct RunConfig {
  std::string dataset;                 ///< an existing dataset; empty: ingest.sources make one
  std::vector<std::string> embedding;  ///< of one's own, of the training images; empty: the base's
  std::vector<std::string> features;   ///< its rows of the images to evaluate on
  bool controls = true;                ///< also train the base as long as base and expert together
  int parallel = 1;  ///< experts trained at a time, each in its own process; on each of `gpus`
  int gpus = 0;      ///< experts are spread over cuda:0 … cuda:gpus-1; 0: all use Config::device
  void describe(Fields& f);
};

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
