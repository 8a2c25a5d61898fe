#include "run/control_budgets.h"

#include <cmath>

#include "base/text.h"
#include "engine/network_facts.h"

namespace hardmoe {
namespace {

constexpr int widest = 1024;  // that resnet() makes

double trunk_flops(ModelConfig model, int width) {
  model.width = width;
  return flops_per_image(resnet(model, 0));
}

/// Returns the trunks that an image passes when the mixture is evaluated.
int trunks_per_image(const Config& config) {
  const bool base_routes = config.run.embedding.empty();
  return config.eval.top_experts + (base_routes ? 1 : 0);
}

/// Returns the number with six digits at most, as commands read it.
std::string number(double value) { return fmt::format("{:.6g}", value); }

}  // namespace

double mixture_epochs(const Config& config) { return config.base.epochs + config.expert.epochs; }

WiderNetwork wider_network(const Config& config) {
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

std::vector<std::string> epochs_options(const Config& config, double epochs) {
  std::vector<std::string> options = {"--epochs", number(epochs)};
  if (config.base.schedule != ScheduleKind::step) return options;
  std::vector<std::string> steps;
  for (const double step : config.base.step_epochs) {
    steps.push_back(number(step * epochs / config.base.epochs));
  }
  options.insert(options.end(), {"--set", "base.step_epochs=[" + join(steps, ",") + "]"});
  return options;
}

}  // namespace hardmoe
