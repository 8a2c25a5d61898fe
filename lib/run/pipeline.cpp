#include "run/pipeline.h"

#include <algorithm>

#include "base/threads.h"
#include "run/control_budgets.h"
#include "run/run_checks.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

using Words = std::vector<std::string>;

/// Added to a seed for an ensemble's second network: far from run.seeds and from experts' seeds.
constexpr uint64_t second_seed = 1'000'000'000;

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// What all stages of a run share.
struct Run {
  const Config& config;
  fs::path out, programs, frozen;
  bool force;
};

/// Returns a stage that is after nothing. `arguments`: its own, with --out among them.
RunStage stage_of(const Run& run, const std::string& name, const std::string& program,
                  Words arguments, const std::string& device, int threads) {
  RunStage made;
  made.folder = *std::next(std::ranges::find(arguments, "--out"));
  arguments.insert(arguments.begin(), run.programs / program);
  if (device != "cpu") arguments = joined(std::move(arguments), {"--device", device});
  if (run.force) arguments.emplace_back("--force");
  if (threads != available_processors()) {
    arguments = joined(std::move(arguments), {"--threads", std::to_string(threads)});
  }
  std::string file = name;
  std::ranges::replace(file, ' ', '-');
  made.process = {name, std::move(arguments), run.out / "logs" / (file + ".txt")};
  return made;
}

RunStage ingest_stage(const Run& run) {
  Words arguments = joined(run.config.ingest.sources, {"--out", run.out / "dataset"});
  arguments = joined(std::move(arguments), {"--config", run.frozen.string()});
  RunStage made =
      stage_of(run, "ingest", "moe-ingest", std::move(arguments), "cpu", compute_threads());
  made.alone = true;
  return made;
}

/// A mixture: the run's own, or a control's. All have the run's base.
struct PlannedMixture {
  std::string key;             ///< the control's name; "" for the run's own
  std::string partition = {};  ///< folder
  std::string experts = {};    ///< folder
  Words partition_options = {}, expert_options = {};
  std::string partition_stage = {};
  Words expert_stages = {};

  /// Returns the name of one of its stages.
  std::string stage(const std::string& what) const { return key.empty() ? what : key + " " + what; }
};

/// Makes the stages of one seed one after another.
class Planner {
 public:
  /// `number`: of the seed, from 0.
  Planner(const Run& run, int number, Pipeline& pipeline)
      : run_(run),
        config_(run.config),
        seed_(config_.seed + static_cast<uint64_t>(number)),
        out_(number == 0 ? run.out : run.out / fmt::format("seed-{}", seed_)),
        prefix_(number == 0 ? "" : fmt::format("seed {} ", seed_)),
        data_(dataset_folder(config_, run.out)),
        pipeline_(pipeline) {}

  void plan() {
    add("base", "moe-train-base", {data_, "--out", folder("base")}, after_dataset());
    if (config_.run.embedding.empty()) {
      add("embedding", "moe-embed",
          {data_, "--model", folder("base"), "--out", folder("embedding")}, {"base"});
    }
    plan_mixtures();
    for (PlannedMixture& mixture : mixtures_) add_partition(mixture);
    for (PlannedMixture& mixture : mixtures_) add_experts(mixture);
    add_networks();
    add("decoder", "moe-train-decoder",
        joined({data_, "--out", folder("decoder")}, folders(mixtures_[0])),
        mixtures_[0].expert_stages);
    add_evaluations();
  }

 private:
  bool has(Control control) const { return config_.run.controls.contains(control); }
  std::string folder(const std::string& name) const { return out_ / name; }
  Words after_dataset() const { return config_.run.dataset.empty() ? Words{"ingest"} : Words(); }
  Words folders(const PlannedMixture& mixture) const {
    return {"--base",          folder("base"), "--partition",
            mixture.partition, "--experts",    mixture.experts};
  }
  /// Returns a stage's name in the graph: every seed has stages of its own, but for the dataset.
  std::string own(const std::string& name) const {
    return name == "ingest" ? name : prefix_ + name;
  }

  /// Returns a stage of this seed. `arguments`: its own, with --out among them.
  RunStage stage(const std::string& name, const std::string& program, Words arguments,
                 const Words& after, const std::string& device, int threads) const {
    arguments = joined(std::move(arguments), {"--config", run_.frozen.string()});
    if (!prefix_.empty()) {
      arguments = joined(std::move(arguments), {"--set", fmt::format("seed={}", seed_)});
    }
    RunStage made = stage_of(run_, own(name), program, std::move(arguments), device, threads);
    for (const auto& earlier : after) made.after.push_back(own(earlier));
    return made;
  }

  /// Adds a stage that needs the machine alone.
  void add(const std::string& name, const std::string& program, Words arguments,
           const Words& after) {
    pipeline_.stages.push_back(
        stage(name, program, std::move(arguments), after, config_.device, compute_threads()));
    pipeline_.stages.back().alone = true;
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
    if (mixtures_.size() > 1 && experts_see_nearest()) {  // random parts have no distances
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
    Words arguments = config_.run.embedding, after = after_dataset();
    if (arguments.empty()) {
      arguments = {folder("embedding")};
      after = {"embedding"};
    }
    const bool by_tag = mixture.key.empty() ? config_.partition.method == PartitionMethod::top_tag
                                            : mixture.key == control_name(Control::top_tag);
    if (by_tag) arguments.insert(arguments.begin(), data_);
    add(mixture.partition_stage, "moe-partition",
        joined(joined(std::move(arguments), {"--out", mixture.partition}), options), after);
  }

  bool experts_see_nearest() const {
    return config_.expert.outside > 0 && config_.expert.outside_from == OutsideFrom::nearest;
  }

  /// Returns --embedding for experts that see images near their part.
  Words embedding_for_experts() const {
    if (config_.expert.overlap == 1 && !experts_see_nearest()) return {};
    Words files = config_.run.embedding;
    if (files.empty()) files = {folder("embedding")};
    return joined({"--embedding"}, files);
  }

  void add_experts(PlannedMixture& mixture) {
    const int gpus = config_.run.gpus;
    const int slots = config_.run.parallel * std::max(gpus, 1);
    const int experts = static_cast<int>(mixtures_.size()) * config_.partition.experts;
    pipeline_.parallel = std::min(slots, experts);
    pipeline_.gpus = std::min(gpus, experts);
    const int threads = std::max(1, compute_threads() / pipeline_.parallel);
    for (int k = 0; k < config_.partition.experts; ++k, ++experts_) {
      const std::string number = std::to_string(k);
      mixture.expert_stages.push_back(mixture.stage("expert " + number));
      Words arguments = {data_,         "--base",          folder("base"),
                         "--partition", mixture.partition, "--expert",
                         number,        "--out",           fs::path(mixture.experts) / number};
      arguments = joined(std::move(arguments), embedding_for_experts());
      RunStage expert =
          stage(mixture.expert_stages.back(), "moe-train-expert",
                joined(arguments, mixture.expert_options), {"base", mixture.partition_stage},
                gpus > 0 ? fmt::format("cuda:{}", experts_ % gpus) : config_.device, threads);
      if (gpus > 0) expert.process.lane = experts_ % slots;
      pipeline_.stages.push_back(std::move(expert));
    }
  }

  /// Adds the training of single networks.
  void add_networks() {
    if (has(Control::longer)) {
      const Words arguments = {data_, "--base", folder("base"),  "--expert",
                               "all", "--out",  folder("longer")};
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
    const std::string seed = std::to_string(seed_ + second_seed);
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
    add(name, "moe-train-base", joined({data_, "--out", folder("controls/" + path)}, options),
        after_dataset());
  }

  void add_row(const std::string& key, const std::string& name, const Words& what,
               const Words& after) {
    const std::string stage = "evaluation " + key;
    add(stage, "moe-eval", joined({data_, "--out", folder("eval/" + key)}, what), after);
    pipeline_.rows.push_back({name, key, seed_, own(stage), folder("eval/" + key)});
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
      add_row(mixture.key, name, routed(mixture), mixture.expert_stages);
    }
    const PlannedMixture& mixture = mixtures_[0];
    add_row("local", "mixture, local decoders", routed(mixture), mixture.expert_stages);
    if (config_.mixture.base_share != 0) {
      add_row("alone", "mixture, expert alone", joined(routed(mixture), {"--base-share", "0"}),
              mixture.expert_stages);
    }
    add_row("shared", "mixture, shared decoder",
            joined(routed(mixture), {"--decoder", folder("decoder")}), {"decoder"});
  }

  Words routed(const PlannedMixture& mixture) const {
    Words words = folders(mixture);
    if (config_.run.features.empty()) return words;
    return joined(joined(std::move(words), {"--features"}), config_.run.features);
  }

  const Run& run_;
  const Config& config_;
  uint64_t seed_;
  fs::path out_;
  std::string prefix_;  ///< of the names of stages
  std::string data_;
  std::vector<PlannedMixture> mixtures_;
  Words ensemble_ = {"base"};  ///< the names of its networks' stages
  int experts_ = 0;            ///< planned so far
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
  const Run run{config, out, programs, frozen, force};
  if (config.run.dataset.empty()) pipeline.stages.push_back(ingest_stage(run));
  for (int number = 0; number < config.run.seeds; ++number) Planner(run, number, pipeline).plan();
  return pipeline;
}

}  // namespace hardmoe
