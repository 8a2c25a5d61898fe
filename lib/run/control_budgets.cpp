#include "run/control_budgets.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "engine/graph.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

constexpr int widest = 1024;  // that network_of() makes

double trunk_flops(ModelConfig model, int width) {
  model.width = width;
  return flops_per_image(network_of(model, 0));
}

/// Returns the share of a trunk's operations that base and experts have in common, as experts keep
/// the base's first stages.
double shared_share(const Config& config) {
  if (!is_resnet(config.model)) return 0;
  const ExpertConfig& expert = config.expert;
  if (expert.start != ExpertStart::base || !expert.init.empty()) return 0;
  for (int cut = last_cut; cut >= 0; --cut) {
    const Network stages = resnet_until(config.model, cut);
    const auto specs = parameters_of(stages);
    const bool frozen = std::ranges::all_of(specs, [&](const ParameterSpec& spec) {
      return !spec.learned || matches_any(spec.name, expert.freeze);
    });
    if (frozen) return flops_per_image(stages) / trunk_flops(config.model, config.model.width);
  }
  return 0;
}

/// Returns the trunks that an image passes when the mixture is evaluated, stages in common once.
double trunks_per_image(const Config& config) {
  const bool asks_base = config.run.embedding.empty() || config.mixture.base_share != 0;
  const int trunks = config.eval.top_experts + (asks_base ? 1 : 0);
  return trunks - (trunks - 1) * shared_share(config);
}

/// Returns the number with six digits at most, as commands read it.
std::string number(double value) { return fmt::format("{:.6g}", value); }

}  // namespace

double experts_epochs(const Config& config) {
  const ExpertConfig& expert = config.expert;
  if (expert.epochs_of == EpochsOf::dataset) return config.partition.experts * expert.epochs;
  const double shown =
      expert.overlap / (1 - expert.outside);  // an epoch, but all at most once each
  return expert.epochs * std::min<double>(config.partition.experts, shown);
}

double mixture_epochs(const Config& config) {
  const Network network =
      network_of(config.model, 1);  // how many tags there will be is not known yet
  const double teacher = config.expert.distill > 0 ? flops_per_image(network) : 0;
  const double of_expert = training_flops_per_image(network, config.expert.freeze) + teacher;
  const double of_base = training_flops_per_image(network, config.base.freeze);
  // Three digits: of the head, whose size is not known, nothing is to depend.
  const double ratio = std::round(1000 * of_expert / of_base) / 1000;
  return config.base.epochs + experts_epochs(config) * ratio;
}

WiderNetwork wider_network(const Config& config) {
  require_resnet(config.model, "run.controls: wider");
  const double base = trunk_flops(config.model, config.model.width);
  const double wanted = trunks_per_image(config) * base;
  int width = config.model.width;
  double flops = base;
  while (width < widest && flops < wanted) flops = trunk_flops(config.model, ++width);
  if (width > config.model.width) {
    const double narrower = trunk_flops(config.model, width - 1);
    if (wanted - narrower < flops - wanted) {
      --width;
      flops = narrower;
    }
  }
  return {width, mixture_epochs(config) * base / flops};
}

double ensemble_epochs(const Config& config) { return mixture_epochs(config) / 2; }

std::vector<std::string> epochs_options(const TrainConfig& config, const std::string& section,
                                        double epochs) {
  std::vector<std::string> options = {"--epochs", number(epochs)};
  if (config.schedule != ScheduleKind::step) return options;
  std::vector<std::string> steps;
  for (const double step : config.step_epochs) {
    steps.push_back(number(step * epochs / config.epochs));
  }
  options.insert(options.end(),
                 {"--set", fmt::format("{}.step_epochs=[{}]", section, join(steps, ","))});
  return options;
}

}  // namespace hardmoe
