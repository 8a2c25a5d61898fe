#include "run/pipeline.h"

#include <algorithm>

#include "base/device_name.h"
#include "base/error.h"
#include "base/threads.h"
#include "train/schedule.h"
#include "train/trainer.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

using Words = std::vector<std::string>;

/// Checks what would otherwise be found only when the stage's turn comes, perhaps days later.
void check_sections(const Config& config) {
  check_ingest_config(config.ingest);
  const Network network = resnet(config.model, 1);
  check_freeze(network, config.base, "base");
  check_freeze(network, config.expert, "expert");
  check_freeze(linear_decoder(1, 1), config.decoder, "decoder");
  if (!config.base.init.empty()) read_earlier_weights(config.base.init, config.model);
  check_train_config(config.base, "base");
  check_train_config(config.expert, "expert");
  check_nearness(config.expert);
  check_train_config(config.decoder, "decoder");
  check_augment(config.base.augment, config.model.image_size);
  check_augment(config.expert.augment, config.model.image_size);
  check_partition_config(config.partition);
  check_eval_config(config.eval, config.partition.experts);
  if (config.run.embedding.empty() != config.run.features.empty()) {
    fail_usage(
        "run.{}: needs run.{}, too: embedding has the training images' rows, features those of "
        "eval.split",
        config.run.features.empty() ? "embedding" : "features",
        config.run.features.empty() ? "features" : "embedding");
  }
}

void check(const Config& config) {
  if (config.ingest.sources.empty() == config.run.dataset.empty()) {
    fail_usage(
        "give either ingest.sources (images to make a dataset of) or run.dataset (a folder of "
        "moe-ingest)");
  }
  if (config.run.parallel < 1 || config.run.parallel > 1024) {
    fail_usage("run.parallel: expected 1 to 1024, found {}", config.run.parallel);
  }
  if (config.run.gpus < 0 || config.run.gpus > 1024) {
    fail_usage("run.gpus: expected 0 to 1024, found {}", config.run.gpus);
  }
  if (!parse_device_name(config.device) && config.run.gpus > 0) {
    fail_usage("run.gpus: {} GPUs are asked for, but device is cpu; use --device cuda",
               config.run.gpus);
  }
  check_sections(config);
}

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Makes the stages one after another.
class Planner {
 public:
  Planner(const Config& config, fs::path out, fs::path programs, const fs::path& frozen, bool force)
      : config_(config),
        out_(std::move(out)),
        programs_(std::move(programs)),
        data_(dataset_folder(config, out_)),
        last_words_({"--config", frozen.string()}),
        force_(force) {}

  Pipeline plan() {
    if (config_.run.dataset.empty()) add_ingest();
    add("base", "moe-train-base", {data_, "--out", folder("base")}, after_dataset());
    add_partition();
    add_experts();
    if (config_.run.controls) {
      add("longer", "moe-train-expert",
          {data_, "--base", folder("base"), "--expert", "all", "--out", folder("longer")},
          {"base"});
    }
    add("decoder", "moe-train-decoder", joined({data_, "--out", folder("decoder")}, mixture()),
        experts_);
    add_evaluations();
    return std::move(pipeline_);
  }

 private:
  std::string folder(const std::string& name) const { return out_ / name; }
  Words after_dataset() const { return config_.run.dataset.empty() ? Words{"ingest"} : Words(); }
  Words mixture() const {
    return {"--base",    folder("base"),   "--partition", folder("partition"),
            "--experts", folder("experts")};
  }

  /// Returns a stage. `arguments`: its own, with --out among them.
  RunStage stage(const std::string& name, const std::string& program, Words arguments, Words after,
                 const std::string& device, int threads) const {
    const auto out = std::ranges::find(arguments, "--out");
    RunStage made;
    made.folder = *std::next(out);
    arguments.insert(arguments.begin(), programs_ / program);
    arguments = joined(std::move(arguments), last_words_);
    if (device != "cpu") arguments = joined(std::move(arguments), {"--device", device});
    if (force_) arguments.emplace_back("--force");
    if (threads != available_processors()) {
      arguments = joined(std::move(arguments), {"--threads", std::to_string(threads)});
    }
    std::string file = name;
    for (char& c : file) c = c == ' ' ? '-' : c;
    made.process = {name, std::move(arguments), out_ / "logs" / (file + ".txt")};
    made.after = std::move(after);
    return made;
  }

  /// Adds a stage that needs the machine alone.
  void add(const std::string& name, const std::string& program, Words arguments, Words after) {
    const std::string device = program == "moe-ingest" ? "cpu" : config_.device;
    auto& stages = pipeline_.stages;
    stages.push_back(
        stage(name, program, std::move(arguments), std::move(after), device, compute_threads()));
    stages.back().alone = true;
  }

  void add_ingest() {
    add("ingest", "moe-ingest", joined(config_.ingest.sources, {"--out", data_}), {});
  }

  void add_partition() {
    Words arguments = config_.run.embedding, after = after_dataset();
    if (arguments.empty()) {
      arguments = {folder("embedding")};
      after = {"embedding"};
      add("embedding", "moe-embed",
          {data_, "--model", folder("base"), "--out", folder("embedding")}, {"base"});
    }
    if (config_.partition.method == PartitionMethod::top_tag) {
      arguments.insert(arguments.begin(), data_);
    }
    add("partition", "moe-partition", joined(std::move(arguments), {"--out", folder("partition")}),
        std::move(after));
  }

  void add_experts() {
    const int gpus = config_.run.gpus;
    const int slots = config_.run.parallel * std::max(gpus, 1);
    pipeline_.parallel = std::min(slots, config_.partition.experts);
    const int threads = std::max(1, compute_threads() / pipeline_.parallel);
    for (int k = 0; k < config_.partition.experts; ++k) {
      const std::string number = std::to_string(k);
      experts_.push_back("expert " + number);
      RunStage expert =
          stage(experts_.back(), "moe-train-expert",
                {data_, "--base", folder("base"), "--partition", folder("partition"), "--expert",
                 number, "--out", out_ / "experts" / number},
                {"base", "partition"}, gpus > 0 ? fmt::format("cuda:{}", k % gpus) : config_.device,
                threads);
      if (gpus > 0) expert.process.lane = k % slots;
      pipeline_.stages.push_back(std::move(expert));
    }
  }

  void add_evaluation(const std::string& name, const Words& what, Words after) {
    add("evaluation " + name, "moe-eval", joined({data_, "--out", out_ / "eval" / name}, what),
        std::move(after));
  }

  void add_evaluations() {
    add_evaluation("base", {"--model", folder("base")}, {"base"});
    if (config_.run.controls) {
      add_evaluation("longer", {"--model", folder("longer")}, {"longer"});
    }
    Words routed = mixture();
    if (!config_.run.features.empty()) {
      routed = joined(joined(std::move(routed), {"--features"}), config_.run.features);
    }
    add_evaluation("local", routed, experts_);
    add_evaluation("shared", joined(routed, {"--decoder", folder("decoder")}), {"decoder"});
  }

  const Config& config_;
  fs::path out_, programs_;
  std::string data_;
  Words last_words_;  ///< of every command
  bool force_;
  Words experts_;  ///< the names of their stages
  Pipeline pipeline_;
};

}  // namespace

std::string dataset_folder(const Config& config, const fs::path& out) {
  return config.run.dataset.empty() ? (out / "dataset").string() : config.run.dataset;
}

Pipeline plan_pipeline(const Config& config, const fs::path& out, const fs::path& programs,
                       const fs::path& frozen, bool force) {
  check(config);
  return Planner(config, out, programs, frozen, force).plan();
}

}  // namespace hardmoe
