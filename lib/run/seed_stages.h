// The stages of one seed of a run, as they are made one after another: their names, folders and
// what all commands are told. Which stages there are: run/pipeline.cpp, run/lever_stages.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "run/pipeline.h"

namespace hardmoe {

using Words = std::vector<std::string>;

/// Returns both, one after the other.
Words joined(Words words, const Words& more);

/// What all stages of a run share.
struct PlannedRun {
  const Config& config;
  std::filesystem::path out, programs, frozen;
  bool force = false;
};

/// Returns a stage that is after nothing. `arguments`: its own, with --out among them.
RunStage stage_of(const PlannedRun& run, const std::string& name, const std::string& program,
                  Words arguments, const std::string& device, int threads);

/// A mixture: the run's own, a control's or a lever's. All have the run's base.
struct PlannedMixture {
  std::string key;             ///< the control's or lever's; "" for the run's own
  std::string partition = {};  ///< folder
  std::string experts = {};    ///< folder
  Words partition_options = {}, expert_options = {};
  std::string partition_stage = {};
  Words expert_stages = {};

  /// Returns the name of one of its stages.
  std::string stage(const std::string& what) const { return key.empty() ? what : key + " " + what; }
};

/// Adds the stages of one seed to a pipeline. Names of stages are given as those of the first seed.
class SeedStages {
 public:
  /// `number`: of the seed, from 0. `run` and `pipeline` must outlive it.
  SeedStages(const PlannedRun& run, int number, Pipeline& pipeline);

  const Config& config() const { return config_; }
  uint64_t seed() const { return seed_; }
  /// Returns the dataset's folder.
  const std::string& data() const { return data_; }
  /// Returns the folder of that name of this seed.
  std::string folder(const std::string& name) const { return out_ / name; }
  /// Returns the stages that what reads nothing but the dataset is after.
  Words after_dataset() const { return config_.run.dataset.empty() ? Words{"ingest"} : Words(); }
  /// Returns the options that name the mixture.
  Words folders(const PlannedMixture& mixture) const;
  /// Returns the same with the external embedding that routes images to evaluate on, if one does.
  Words routed(const PlannedMixture& mixture) const;

  /// Adds a stage that needs the machine alone, or of several seeds on processors, its share of
  /// them. `arguments`: its own, with --out among them.
  void add(const std::string& name, const std::string& program, Words arguments,
           const Words& after);
  /// Adds the experts of the mixture, whose stages it notes.
  void add_experts(PlannedMixture& mixture);
  /// Adds an evaluation into eval/KEY, a row of the table. `what`: the options of the networks.
  /// `over`: see RunRow.
  void add_row(const std::string& key, const std::string& name, const Words& what,
               const Words& after, const std::string& over = {});

 private:
  std::string own(const std::string& name) const;
  RunStage stage(const std::string& name, const std::string& program, Words arguments,
                 const Words& after, const std::string& device, int threads) const;
  Words embedding_for_experts() const;

  const PlannedRun& run_;
  const Config& config_;
  uint64_t seed_;
  std::filesystem::path out_;
  std::string prefix_;  ///< of the names of stages
  std::string data_;
  int experts_ = 0;  ///< planned so far
  Pipeline& pipeline_;
};

}  // namespace hardmoe
