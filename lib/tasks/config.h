// The whole configuration: one YAML file for all commands. Each command reads its own sections; an
// unknown key anywhere is an error. `moe-run` writes the frozen copy beside its results.
#pragma once

#include <cstdint>
#include <set>

#include "base/config.h"
#include "ingest/ingest_config.h"
#include "moe/evaluation.h"
#include "moe/mixture_config.h"
#include "moe/partition_config.h"
#include "nn/resnet.h"
#include "tasks/controls.h"
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
  void describe(Fields& f);
};

/// The section decoder.
struct DecoderConfig : TrainConfig {
  std::string split = "train";  ///< what it is trained on: train, or selection
  void describe(Fields& f);
};

/// Throws Error(usage) as check_train_config does, but 0 epochs, which keep the base's head, are
/// possible.
void check_decoder_config(const DecoderConfig& config);

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
  std::set<Control> controls = {Control::longer};  ///< what the mixture is compared with
  int seeds = 1;  ///< repetitions of all but the dataset, with seeds Config::seed and those after
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
  DecoderConfig decoder;
  MixtureConfig mixture;
  EvalConfig eval;
  RunConfig run;

  Config();
  void describe(Fields& f);
};

}  // namespace hardmoe
