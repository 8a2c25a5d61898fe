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
#include "nn/model_config.h"
#include "tasks/controls.h"
#include "tasks/levers.h"
#include "train/config.h"
#include "train/inference_precision.h"

namespace hardmoe {

/// When a network in training is judged on the split "selection" (train/validation.h).
struct JudgingConfig {
  double val_every = 1;  ///< epochs between judgments; 0: none, but for patience
  int patience = 0;      ///< epochs without a smaller loss after which it ends; 0: never
  void describe(Fields& f);

  /// Returns the epochs between judgments: with patience one, unless val_every says otherwise.
  double every() const { return val_every > 0 || patience == 0 ? val_every : 1; }
  /// Returns the settings that shape the result, for a stage's inputs; empty where none does.
  Json inputs() const;
};

/// The section base.
struct BaseConfig : TrainConfig {
  std::string init;  ///< weights to begin with (train/warm_start.h); empty: random ones
  JudgingConfig judging;
  void describe(Fields& f);
};

/// The section sparse.
struct SparseTrainConfig : TrainConfig {
  SparseConfig layer;  ///< what takes the place of layers of the section model
  std::string init;    ///< as the base's
  JudgingConfig judging;
  void describe(Fields& f);
};

/// The weights an expert begins with.
enum class ExpertStart { base, scratch };

/// Where images from outside an expert's part come from.
enum class OutsideFrom {
  all,      ///< drawn at random from all others, anew each epoch
  nearest,  ///< those nearest to the part, in every epoch
};

/// What epochs are counted in.
enum class EpochsOf {
  part,
  dataset,  ///< as many steps as so many epochs of all training images would take
};

/// The section expert.
struct ExpertConfig : TrainConfig {
  ExpertStart start = ExpertStart::base;
  EpochsOf epochs_of = EpochsOf::part;
  double outside = 0;  ///< share of an epoch's images that come from outside the part
  OutsideFrom outside_from = OutsideFrom::all;
  double outside_weight = 1;  ///< factor of their losses
  int overlap = 1;            ///< nearest experts that train on an image
  bool lr_by_size = false;    ///< learning rate × √(part's images ÷ (N/K)), ½ to 2
  JudgingConfig judging = {.val_every = 0};  ///< its images of the split take a pass of the base
  std::string init;    ///< folder of experts 0, 1, … of an earlier partition to begin with; or ""
  double distill = 0;  ///< weight of the loss against the base's scores (LossSpec::teacher)
  double distill_temperature = 1;
  void describe(Fields& f);
  /// Returns whether experts see the images nearest to their part.
  bool sees_nearest() const { return outside > 0 && outside_from == OutsideFrom::nearest; }
};

/// Throws Error(usage) naming a setting of the section that is impossible whatever the images; also
/// as check_train_config does.
void check_base_config(const BaseConfig& config);
void check_sparse_config(const SparseTrainConfig& config);
void check_expert_config(const ExpertConfig& config);

/// The section decoder.
struct DecoderConfig : TrainConfig {
  std::string split = "train";               ///< what it is trained on: train, or selection
  JudgingConfig judging = {.val_every = 0};  ///< rows of that split take passes of base and experts
  void describe(Fields& f);
};

/// Throws Error(usage) as check_train_config does, but 0 epochs, which keep the base's head, are
/// possible.
void check_decoder_config(const DecoderConfig& config);

/// Throws Error(usage) naming a setting that keeps an expert near its base and is out of range or
/// without effect.
void check_nearness(const ExpertConfig& config);

/// The section embed.
struct EmbedConfig {
  InferencePrecision precision = InferencePrecision::training;
  bool half = false;  ///< store float16
  void describe(Fields& f);
};

/// The section router.
struct RouterConfig : TrainConfig {
  int depth = 18;
  int width = 0;       ///< channels of the first stage; 0: half of the base's, at least 8; with a
                       ///< prefix as many as router_share allows what is behind it
  int image_size = 0;  ///< pixels; 0: as many as router_share of the base's FLOPs allow
  int prefix = 0;      ///< layers of the base, and its stem, that it begins with; 0: not even that
  std::string init;    ///< weights to begin with, as of a base
  void describe(Fields& f);
};

/// Throws Error(usage) naming a setting of the section that is impossible whatever the images; also
/// as check_train_config does.
void check_router_config(const RouterConfig& config);

/// The section finetune.
struct FinetuneConfig : TrainConfig {
  int turn_steps = 10;  ///< steps of one expert before the next one's turn
  void describe(Fields& f);
};

/// The section run.
struct RunConfig {
  std::string dataset;                 ///< an existing dataset; empty: made of ingest.sources
  std::vector<std::string> embedding;  ///< external, of the training images; empty: the base's
  std::vector<std::string> features;   ///< the external embedding of the images to evaluate on
  std::set<Control> controls = {Control::longer};  ///< what the mixture is compared with
  std::set<Lever> levers = {};                     ///< what is tried on the trained mixture
  int seeds = 1;  ///< repetitions of all but the dataset, with seeds Config::seed and those after
  int parallel = 1;  ///< experts trained at a time (on each of `gpus`), each in its own process;
                     ///< with several seeds on processors any stages
  bool keep_going = false;  ///< after a stage failed, train what does not need it
  int retries = 0;          ///< how often a stage that failed is started again
  int gpus = 0;  ///< experts are spread over cuda:0 … cuda:gpus-1; 0: all use Config::device
  void describe(Fields& f);
};

/// The section slurm: what jobs of moe-run --launcher slurm ask for.
struct SlurmConfig {
  std::string partition, account;  ///< empty: the cluster's default
  std::string time;                ///< of a job, as sbatch takes it; empty: the partition's default
  std::string memory;              ///< of a job, as sbatch takes it; empty: the cluster's default
  int cpus = 0;                    ///< of a job; 0: the cluster's default
  int gpus = 0;                    ///< of a job
  int grace = 120;                 ///< seconds before the limit at which a job is told to save
  std::vector<std::string> setup;  ///< lines of shell before the command
  std::vector<std::string> options;  ///< further options of sbatch
  void describe(Fields& f);
};

/// All sections.
struct Config {
  uint64_t seed = 1;
  std::string device = "cpu";
  IngestConfig ingest;
  ModelConfig model;
  BaseConfig base;
  SparseTrainConfig sparse;
  EmbedConfig embed;
  PartitionConfig partition;
  ExpertConfig expert;
  DecoderConfig decoder;
  MixtureConfig mixture;
  RouterConfig router;
  FinetuneConfig finetune;
  EvalConfig eval;
  RunConfig run;
  SlurmConfig slurm;

  Config();
  void describe(Fields& f);
};

}  // namespace hardmoe
