#include "run/seed_stages.h"

#include <algorithm>

#include "base/text.h"
#include "base/threads.h"

namespace hardmoe {
namespace fs = std::filesystem;

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

RunStage stage_of(const PlannedRun& run, const std::string& name, const std::string& program,
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

SeedStages::SeedStages(const PlannedRun& run, int number, Pipeline& pipeline)
    : run_(run),
      config_(run.config),
      seed_(config_.seed + static_cast<uint64_t>(number)),
      out_(number == 0 ? run.out : run.out / fmt::format("seed-{}", seed_)),
      prefix_(number == 0 ? "" : fmt::format("seed {} ", seed_)),
      data_(dataset_folder(config_, run.out)),
      pipeline_(pipeline) {}

Words SeedStages::folders(const PlannedMixture& mixture) const {
  return {"--base", folder("base"), "--partition", mixture.partition, "--experts", mixture.experts};
}

Words SeedStages::routed(const PlannedMixture& mixture) const {
  Words words = folders(mixture);
  if (config_.run.features.empty()) return words;
  return joined(joined(std::move(words), {"--features"}), config_.run.features);
}

/// Returns a stage's name in the graph: every seed has stages of its own, but for the dataset.
std::string SeedStages::own(const std::string& name) const {
  return name == "ingest" ? name : prefix_ + name;
}

RunStage SeedStages::stage(const std::string& name, const std::string& program, Words arguments,
                           const Words& after, const std::string& device, int threads) const {
  arguments = joined(std::move(arguments), {"--config", run_.frozen.string()});
  if (!prefix_.empty()) {
    arguments = joined(std::move(arguments), {"--set", fmt::format("seed={}", seed_)});
  }
  RunStage made = stage_of(run_, own(name), program, std::move(arguments), device, threads);
  for (const auto& earlier : after) made.after.push_back(own(earlier));
  return made;
}

void SeedStages::add(const std::string& name, const std::string& program, Words arguments,
                     const Words& after) {
  // Several seeds keep processors busier with a network a share of them than with one after another.
  const bool shares = config_.run.seeds > 1 && pipeline_.parallel > 1 && config_.device == "cpu";
  const int threads = std::max(1, compute_threads() / (shares ? pipeline_.parallel : 1));
  pipeline_.stages.push_back(
      stage(name, program, std::move(arguments), after, config_.device, threads));
  pipeline_.stages.back().alone = !shares;
}

/// Returns --embedding for experts that see images near their part.
Words SeedStages::embedding_for_experts() const {
  if (config_.expert.overlap == 1 && !config_.expert.sees_nearest()) return {};
  Words files = config_.run.embedding;
  if (files.empty()) files = {folder("embedding")};
  return joined({"--embedding"}, files);
}

void SeedStages::add_experts(PlannedMixture& mixture) {
  const int gpus = config_.run.gpus;
  const int slots = config_.run.parallel * std::max(gpus, 1);
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
    expert.part = k;
    expert.partition = mixture.partition;
    if (gpus > 0) expert.process.lane = experts_ % slots;
    pipeline_.stages.push_back(std::move(expert));
  }
}

void SeedStages::add_row(const std::string& key, const std::string& name, const Words& what,
                         const Words& after, const std::string& over) {
  const std::string stage = "evaluation " + key;
  add(stage, "moe-eval", joined({data_, "--out", folder("eval/" + key)}, what), after);
  pipeline_.rows.push_back({name, key, seed_, own(stage), folder("eval/" + key), over});
}

}  // namespace hardmoe
