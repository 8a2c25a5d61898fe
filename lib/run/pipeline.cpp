#include "run/pipeline.h"

#include <algorithm>

#include "base/text.h"
#include "base/threads.h"
#include "run/control_budgets.h"
#include "run/lever_stages.h"
#include "run/run_checks.h"
#include "run/seed_stages.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Added to a seed for an ensemble's second network: far from run.seeds and from experts' seeds.
constexpr uint64_t second_seed = 1'000'000'000;

RunStage ingest_stage(const PlannedRun& run) {
  Words arguments = joined(run.config.ingest.sources, {"--out", run.out / "dataset"});
  arguments = joined(std::move(arguments), {"--config", run.frozen.string()});
  RunStage made =
      stage_of(run, "ingest", "moe-ingest", std::move(arguments), "cpu", compute_threads());
  made.alone = true;
  return made;
}

/// Makes the stages of one seed one after another.
class Planner {
 public:
  /// `number`: of the seed, from 0.
  Planner(const PlannedRun& run, int number, Pipeline& pipeline)
      : config_(run.config), stages_(run, number, pipeline), pipeline_(pipeline) {}

  void plan() {
    plan_mixtures();
    plan_slots();
    add("base", "moe-train-base", {stages_.data(), "--out", folder("base")},
        stages_.after_dataset());
    if (config_.run.embedding.empty()) {
      add("embedding", "moe-embed",
          {stages_.data(), "--model", folder("base"), "--out", folder("embedding")}, {"base"});
    }
    for (const PlannedMixture& mixture : mixtures_) add_partition(mixture);
    for (PlannedMixture& mixture : mixtures_) stages_.add_experts(mixture);
    add_networks();
    add("decoder", "moe-train-decoder",
        joined({stages_.data(), "--out", folder("decoder")}, stages_.folders(mixtures_[0])),
        mixtures_[0].expert_stages);
    add_evaluations();
    add_levers(mixtures_[0], stages_);
  }

 private:
  bool has(Control control) const { return config_.run.controls.contains(control); }
  std::string folder(const std::string& name) const { return stages_.folder(name); }
  void add(const std::string& name, const std::string& program, Words arguments,
           const Words& after) {
    stages_.add(name, program, std::move(arguments), after);
  }
  void add_row(const std::string& key, const std::string& name, const Words& what,
               const Words& after) {
    stages_.add_row(key, name, what, after);
  }

  void plan_mixtures() {
    mixtures_.push_back({.key = ""});
    const auto other = [&](Control control) {
      mixtures_.push_back({.key = control_name(control)});
      return &mixtures_.back();
    };
    const auto other_method = [&](Control control, PartitionMethod method) {
      if (!has(control) || config_.partition.method == method) return;
      Words& options = other(control)->partition_options;
      options = {"--method", partition_method_name(method)};
      if (config_.partition.fine != 0) options = joined(options, {"--fine", "0"});
      if (config_.expert.init.empty()) return;  // experts of other parts
      mixtures_.back().expert_options = {"--set", "expert.init="};
    };
    other_method(Control::random, PartitionMethod::random);
    // Random parts have no distances.
    if (mixtures_.size() > 1 && config_.expert.sees_nearest()) {
      Words& options = mixtures_.back().expert_options;
      options = joined(std::move(options), {"--set", "expert.outside_from=all"});
    }
    other_method(Control::top_tag, PartitionMethod::top_tag);
    if (has(Control::steps) && config_.expert.epochs_of == EpochsOf::part) {
      other(Control::steps)->expert_options = {"--set", "expert.epochs_of=dataset"};
    }
    for (PlannedMixture& mixture : mixtures_) {
      const std::string root = mixture.key.empty() ? "" : "controls/" + mixture.key + "/";
      const bool own_parts = mixture.key.empty() || !mixture.partition_options.empty();
      mixture.partition = folder((own_parts ? root : "") + "partition");
      mixture.partition_stage = own_parts ? mixture.stage("partition") : "partition";
      mixture.experts = folder(root + "experts");
    }
  }

  void add_partition(const PlannedMixture& mixture) {
    if (mixture.partition_stage != mixture.stage("partition")) return;  // another's
    const auto& options = mixture.partition_options;
    Words arguments = config_.run.embedding, after = stages_.after_dataset();
    if (arguments.empty()) {
      arguments = {folder("embedding")};
      after = {"embedding"};
    }
    const bool by_tag = mixture.key.empty() ? config_.partition.method == PartitionMethod::top_tag
                                            : mixture.key == control_name(Control::top_tag);
    if (by_tag) arguments.insert(arguments.begin(), stages_.data());
    add(mixture.partition_stage, "moe-partition",
        joined(joined(std::move(arguments), {"--out", mixture.partition}), options), after);
  }

  /// Decides how many experts are trained at a time, on how many GPUs.
  void plan_slots() {
    const int gpus = config_.run.gpus;
    const int slots = config_.run.parallel * std::max(gpus, 1);
    const int experts = static_cast<int>(mixtures_.size()) * config_.partition.experts;
    pipeline_.parallel = std::min(slots, experts);
    pipeline_.gpus = std::min(gpus, experts);
  }

  /// Adds the training of single networks.
  void add_networks() {
    if (has(Control::longer)) {
      const Words arguments = {stages_.data(), "--base", folder("base"),  "--expert",
                               "all",          "--out",  folder("longer")};
      const double epochs = experts_epochs(config_);
      Words options = epochs == config_.expert.epochs
                          ? Words()
                          : epochs_options(config_.expert, "expert", epochs);
      // A control's own best: all of it learns.
      if (!config_.expert.freeze.empty()) {
        options = joined(std::move(options), {"--set", "expert.freeze=[]"});
      }
      if (!config_.expert.slow.empty()) {
        options = joined(std::move(options), {"--set", "expert.slow=[]"});
      }
      if (!config_.expert.init.empty()) {
        options = joined(std::move(options), {"--set", "expert.init="});
      }
      add("longer", "moe-train-expert", joined(arguments, options), {"base"});
    }
    if (has(Control::wider)) add_wider();
    if (has(Control::ensemble)) add_ensemble();
  }

  void add_wider() {
    const auto [width, epochs] = wider_network(config_);
    Words options =
        joined({"--width", std::to_string(width)}, epochs_options(config_.base, "base", epochs));
    if (!config_.base.init.empty()) {  // whose weights are of another width
      options = joined(std::move(options), {"--set", "base.init=", "--set", "base.freeze=[]"});
    }
    add_network("wider", options);
  }

  /// Adds the networks of the ensemble; the base is one if it is trained for as long.
  void add_ensemble() {
    const double epochs = ensemble_epochs(config_);
    const Words options = epochs_options(config_.base, "base", epochs);
    const std::string seed = std::to_string(stages_.seed() + second_seed);
    if (epochs != config_.base.epochs) {
      add_network("ensemble/0", options);
      ensemble_ = {"ensemble 0"};
    }
    add_network("ensemble/1", joined(options, {"--seed", seed}));
    ensemble_.emplace_back("ensemble 1");
  }

  /// Adds the training of a network from nothing, in controls/.
  void add_network(const std::string& path, const Words& options) {
    std::string name = path;
    std::ranges::replace(name, '/', ' ');
    add(name, "moe-train-base",
        joined({stages_.data(), "--out", folder("controls/" + path)}, options),
        stages_.after_dataset());
  }

  void add_evaluations() {
    const Words base = {"--model", folder("base")}, longer = {"--model", folder("longer")};
    add_row("base", "base", base, {"base"});
    if (has(Control::longer)) add_row("longer", "base, trained as long", longer, {"longer"});
    if (has(Control::base_and_longer)) {
      add_row("base-and-longer", "base and longer, averaged", joined(base, longer), {"longer"});
    }
    if (has(Control::wider)) {
      add_row("wider", fmt::format("one network of width {}", wider_network(config_).width),
              {"--model", folder("controls/wider")}, {"wider"});
    }
    if (has(Control::ensemble)) {
      const std::string first = ensemble_[0] == "base" ? "base" : "controls/ensemble/0";
      const std::string second = "controls/ensemble/1";
      add_row("ensemble", "two networks, averaged",
              {"--model", folder(first), "--model", folder(second)}, ensemble_);
    }
    add_mixtures();
  }

  void add_mixtures() {
    for (const PlannedMixture& mixture : mixtures_) {
      if (mixture.key.empty()) continue;
      const std::string name = mixture.key == "random"    ? "experts of random parts"
                               : mixture.key == "top-tag" ? "experts of parts by top tag"
                                                          : "experts of as many steps";
      add_row(mixture.key, name, stages_.routed(mixture), mixture.expert_stages);
    }
    const PlannedMixture& mixture = mixtures_[0];
    add_row("local", "mixture, local decoders", stages_.routed(mixture), mixture.expert_stages);
    if (config_.mixture.base_share != 0) {
      add_row("alone", "mixture, expert alone",
              joined(stages_.routed(mixture), {"--base-share", "0"}), mixture.expert_stages);
    }
    add_row("shared", "mixture, shared decoder",
            joined(stages_.routed(mixture), {"--decoder", folder("decoder")}), {"decoder"});
  }

  const Config& config_;
  SeedStages stages_;
  std::vector<PlannedMixture> mixtures_;
  Words ensemble_ = {"base"};  ///< the names of its networks' stages
  Pipeline& pipeline_;
};

}  // namespace

std::string dataset_folder(const Config& config, const fs::path& out) {
  return config.run.dataset.empty() ? (out / "dataset").string() : config.run.dataset;
}

Pipeline plan_pipeline(const Config& config, const fs::path& out, const fs::path& programs,
                       const fs::path& frozen, bool force) {
  check_settings(config);
  Pipeline pipeline;
  const PlannedRun run{config, out, programs, frozen, force};
  if (config.run.dataset.empty()) pipeline.stages.push_back(ingest_stage(run));
  for (int number = 0; number < config.run.seeds; ++number) Planner(run, number, pipeline).plan();
  return pipeline;
}

}  // namespace hardmoe
