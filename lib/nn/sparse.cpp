#include "nn/sparse.h"

#include <cmath>

#include "base/error.h"
#include "nn/most_experts.h"

namespace hardmoe {
namespace {

bool is_whole(double value, double least, double most) {
  return value >= least && value <= most && value == std::floor(value);
}

void check_stages(const SparseConfig& config, const std::string& section) {
  double before = 0;
  for (const double stage : config.stages) {
    if (!is_whole(stage, 1, 4)) {
      fail_usage("{}.stages: expected some of 1, 2, 3 and 4, found {}", section, stage);
    }
    if (stage <= before) {
      fail_usage("{}.stages: expected ascending numbers, found {} behind {}", section, stage,
                 before);
    }
    before = stage;
  }
  if (config.stages.empty())
    fail_usage("{}.stages: names no stage; expected some of 1 to 4", section);
  if (!config.expert_channels.empty() && config.expert_channels.size() != config.stages.size()) {
    fail_usage("{}.expert_channels: expected a number for each of {} stages, found {}", section,
               config.stages.size(), config.expert_channels.size());
  }
  for (const double channels : config.expert_channels) {
    if (is_whole(channels, 1, 8192)) continue;
    fail_usage("{}.expert_channels: expected 1 to 8192, found {}", section, channels);
  }
}

void check_capacity(double capacity, const std::string& setting) {
  if (capacity > 0 && capacity <= 1e6) return;
  fail_usage("{}: expected more than 0 and at most 1e6, found {}", setting, capacity);
}

void check_losses(const SparseConfig& config, const std::string& section) {
  const std::pair<const char*, double> weights[] = {
      {"importance", config.importance}, {"load", config.load}, {"divergence", config.divergence}};
  for (const auto& [name, weight] : weights) {
    if (!(weight >= 0 && std::isfinite(weight))) {
      fail_usage("{}.{}: expected a weight of at least 0, or -1, found {}", section, name, weight);
    }
    if (weight > 0 && config.constraint != GateConstraint::none) {
      fail_usage("{}.{}: a constraint balances without a loss; leave one of the two out", section,
                 name);
    }
  }
  if (config.load > 0 && !config.noise) {
    fail_usage(
        "{}.load: is of the chances that noise gives to an expert, and noise is off; set load to 0",
        section);
  }
}

}  // namespace

void SparseConfig::describe(Fields& f) {
  f.add_enum("kind", kind, {"none", "shazeer", "pavlitska", "vmoe"},
             "shazeer, pavlitska: stages of a ResNet become stages of experts that a gate chooses "
             "for each image; vmoe: MLPs of a vision transformer become experts that a gate "
             "chooses for each token");
  f.add("experts", experts, "experts of a layer");
  f.add("chosen", chosen, "experts that compute an image or a token");
  f.add("stages", stages, "of a ResNet, that have experts: some of 1 to 4");
  f.add("expert_channels", expert_channels,
        "inner channels of an expert, one number for each of stages; empty: as many as make the "
        "chosen experts as costly as the stage they replace");
  f.add_enum("gate", gate, {"pooled", "conv"},
             "what the gate of a stage reads: the average of its input, or that behind a 3x3 "
             "convolution");
  f.add("noise", noise, "in training the gate's logits have noise, as the kind's paper has it");
  f.add(
      "importance", importance,
      "weight of the loss on the sums of gates; -1: the paper's (shazeer 0.1, pavlitska 0.5, or 0 "
      "beside another loss, vmoe 0.005; with a constraint 0)");
  f.add("load", load,
        "weight of the loss on the expected loads; -1: the paper's (shazeer 0.1, pavlitska 0, "
        "vmoe 0.005; without noise 0)");
  f.add("divergence", divergence,
        "weight of the loss on how far the mean gates are from equal ones; -1: 0");
  f.add_enum("constraint", constraint, {"none", "relative", "mean"},
             "of pavlitska: bounds an expert's use by leaving it out for a batch, in place of "
             "losses and noise");
  f.add("limit", limit,
        "of the constraint: mean: how far above 1/experts an expert's running share may be; "
        "relative: "
        "the sum over batches of how far it was above the mean, relative to that; -1: the paper's "
        "(relative 0.5, mean 0.3)");
  f.add("last", last, "of vmoe: how many of every second layer have experts, from the end; 0: all");
  f.add("capacity", capacity,
        "of vmoe: tokens an expert takes at most, over those of an even share; their number is "
        "rounded "
        "up to a multiple of 4");
  f.add_enum("priority", priority, {"none", "training", "evaluation", "both"},
             "of vmoe: when full experts keep the tokens with the greatest gates, not the first");
}

SparseConfig with_defaults(SparseConfig config) {
  const bool bound = config.constraint != GateConstraint::none;
  double importance = 0, load = 0;
  if (config.kind == SparseKind::shazeer) importance = load = 0.1;
  if (config.kind == SparseKind::vmoe) importance = load = 0.005;
  if (config.kind == SparseKind::pavlitska && config.divergence <= 0 && config.load <= 0) {
    importance = 0.5;
  }
  if (bound) config.noise = false;
  if (config.importance == -1) config.importance = bound ? 0 : importance;
  if (config.load == -1) config.load = bound || !config.noise ? 0 : load;
  if (config.divergence == -1) config.divergence = 0;
  if (config.limit == -1) config.limit = config.constraint == GateConstraint::mean ? 0.3 : 0.5;
  return config;
}

std::vector<std::string> drop_unused(SparseConfig& config) {
  const SparseConfig plain;
  std::vector<std::string> dropped;
  const auto drop_unless = [&](bool used, const char* name, auto member) {
    if (used || config.*member == plain.*member) return;
    config.*member = plain.*member;
    dropped.emplace_back(name);
  };
  const bool tokens = config.kind == SparseKind::vmoe;
  drop_unless(!tokens, "stages", &SparseConfig::stages);
  drop_unless(!tokens, "expert_channels", &SparseConfig::expert_channels);
  drop_unless(!tokens, "gate", &SparseConfig::gate);
  drop_unless(config.constraint != GateConstraint::none, "limit", &SparseConfig::limit);
  drop_unless(tokens, "last", &SparseConfig::last);
  drop_unless(tokens, "capacity", &SparseConfig::capacity);
  drop_unless(tokens, "priority", &SparseConfig::priority);
  return dropped;
}

void check_sparse(const SparseConfig& config, const std::string& section) {
  if (config.experts < 2 || config.experts > most_experts) {
    fail_usage("{}.experts: expected 2 to {}, found {}", section, most_experts, config.experts);
  }
  if (config.chosen < 1 || config.chosen > config.experts) {
    fail_usage("{}.chosen: expected 1 to {}, the number of experts, found {}", section,
               config.experts, config.chosen);
  }
  if (config.constraint != GateConstraint::none && config.kind != SparseKind::pavlitska) {
    fail_usage("{}.constraint: is of kind pavlitska; set it to none", section);
  }
  if (!(config.limit >= 0)) {
    fail_usage("{}.limit: expected at least 0, or -1, found {}", section, config.limit);
  }
  const double most = 1 - 1.0 / config.experts;
  if (config.constraint == GateConstraint::mean && config.limit >= most) {
    fail_usage(
        "{}.limit: an expert's share of {} experts is never {} above an even one; expected below "
        "{}",
        section, config.experts, config.limit, most);
  }
  check_losses(config, section);
  if (config.kind != SparseKind::vmoe) return check_stages(config, section);
  if (config.last < 0) {
    fail_usage("{}.last: expected a number of layers, or 0, found {}", section, config.last);
  }
  check_capacity(config.capacity, section + ".capacity");
}

std::vector<GateStatistic> gate_statistics(const Network& network) {
  constexpr std::string_view suffix = ".gate";
  std::vector<GateStatistic> gates;
  for (const Op& op : network.ops) {
    if (op.type != "route") continue;
    const bool named = op.name.ends_with(suffix);
    const Op& from = network.ops[static_cast<size_t>(op.inputs.at(0)) - 1];
    gates.push_back({named ? op.name.substr(0, op.name.size() - suffix.size()) : op.name,
                     op.name + ".usage", from.type == "capacity"});
  }
  return gates;
}

bool is_gate_state(std::string_view tensor) {
  return tensor.ends_with(".gate.usage") || tensor.ends_with(".gate.top_k.running") ||
         tensor.ends_with(".gate.top_k.steps");
}

SparseConfig changed(SparseConfig config, const SparseOverride& by) {
  if (!by.is_set()) return config;
  if (config.kind == SparseKind::none) {
    fail_usage("{}: is of models of moe-train-sparse, and this one has no layers of experts",
               by.option());
  }
  config.chosen = by.chosen.value_or(config.chosen);
  if (config.chosen < 1 || config.chosen > config.experts) {
    fail_usage("--chosen: expected 1 to {}, the number of experts, found {}", config.experts,
               config.chosen);
  }
  if (!by.capacity && !by.priority) return config;
  if (config.kind != SparseKind::vmoe) {
    fail_usage("{}: is of layers of kind vmoe; those of this model drop nothing",
               by.capacity ? "--capacity" : "--priority");
  }
  if (by.priority) {
    const bool trained =
        config.priority == RoutingPriority::training || config.priority == RoutingPriority::both;
    if (*by.priority) {
      config.priority = trained ? RoutingPriority::both : RoutingPriority::evaluation;
    } else {
      config.priority = trained ? RoutingPriority::training : RoutingPriority::none;
    }
  }
  if (!by.capacity) return config;
  check_capacity(*by.capacity, "--capacity");
  config.capacity = *by.capacity;
  return config;
}

}  // namespace hardmoe
