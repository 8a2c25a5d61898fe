#include "run/lever_stages.h"

#include "base/text.h"

namespace hardmoe {
namespace {

/// Returns the options with which experts of a partition begin with those of the one before.
Words begin_with(const std::string& experts, const ExpertConfig& config) {
  // A pull is toward the base's weights, which an expert then has to begin with.
  if (config.start == ExpertStart::scratch || config.pull > 0) return {};
  return {"--init-experts", experts};
}

/// Adds rounds of partitions by what the experts of the round before can do, and experts of each. A
/// round is a row, so that asking for another one later changes none.
void add_rerouting(const PlannedMixture& first, SeedStages& stages) {
  const Config& config = stages.config();
  PlannedMixture before = first;
  for (int round = 1; round <= config.partition.reroute.rounds; ++round) {
    const std::string name = lever_name(Lever::reroute);
    PlannedMixture next{.key = round == 1 ? name : fmt::format("{}-{}", name, round)};
    next.partition = stages.folder("levers/" + next.key + "/partition");
    next.partition_stage = next.stage("partition");
    next.experts = stages.folder("levers/" + next.key + "/experts");
    next.expert_options = begin_with(before.experts, config.expert);
    stages.add(next.partition_stage, "moe-partition",
               {stages.data(), stages.folder("embedding"), "--out", next.partition, "--reroute",
                before.partition, "--base", stages.folder("base"), "--experts", before.experts},
               before.expert_stages);
    stages.add_experts(next);
    stages.add_row(next.key,
                   round == 1 ? "re-routed, local decoders"
                              : fmt::format("re-routed {}×, local decoders", round),
                   stages.routed(next), next.expert_stages, "local");
    before = next;
  }
}

void add_router(const PlannedMixture& mixture, SeedStages& stages) {
  const std::string key = lever_name(Lever::router), folder = stages.folder("levers/" + key);
  stages.add(key, "moe-train-router",
             {stages.data(), "--base", stages.folder("base"), "--partition", mixture.partition,
              "--out", folder},
             {"base", mixture.partition_stage});
  // The base is not computed: it has no share, and an external embedding is not asked either.
  Words what = joined(stages.folders(mixture), {"--router", folder});
  if (stages.config().mixture.base_share != 0)
    what = joined(std::move(what), {"--base-share", "0"});
  stages.add_row(key, "with a router, local decoders", what, joined(mixture.expert_stages, {key}),
                 "local");
}

void add_finetuning(const PlannedMixture& mixture, SeedStages& stages) {
  const std::string key = lever_name(Lever::finetune), folder = stages.folder("levers/" + key);
  stages.add(key, "moe-finetune",
             joined({stages.data(), "--out", folder, "--decoder", stages.folder("decoder")},
                    stages.folders(mixture)),
             {"decoder"});
  PlannedMixture tuned = mixture;
  tuned.experts = folder + "/experts";
  stages.add_row(key, "fine-tuned, shared decoder",
                 joined(stages.routed(tuned), {"--decoder", folder + "/decoder"}), {key}, "shared");
}

}  // namespace

void add_levers(const PlannedMixture& mixture, SeedStages& stages) {
  const auto& levers = stages.config().run.levers;
  if (levers.contains(Lever::reroute)) add_rerouting(mixture, stages);
  if (levers.contains(Lever::router)) add_router(mixture, stages);
  if (levers.contains(Lever::finetune)) add_finetuning(mixture, stages);
}

}  // namespace hardmoe
