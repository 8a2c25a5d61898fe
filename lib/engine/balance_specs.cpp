#include "engine/balance_specs.h"

namespace hardmoe {
namespace {

LossKind kind_of(GateLoss::Kind kind) {
  switch (kind) {
    case GateLoss::Kind::importance:
      return LossKind::importance;
    case GateLoss::Kind::load:
      return LossKind::load;
    case GateLoss::Kind::divergence:
      return LossKind::divergence;
  }
  return LossKind::importance;
}

}  // namespace

std::vector<LossSpec> balance_specs(const std::vector<GateLoss>& losses) {
  std::vector<LossSpec> specs;
  for (const GateLoss& loss : losses) {
    LossSpec spec;
    spec.kind = kind_of(loss.kind);
    spec.weight = static_cast<float>(loss.weight);
    spec.value = loss.value;
    spec.name = loss.name;
    spec.ddof = loss.ddof;
    spec.k = loss.k;
    spec.noisy = loss.noisy;
    spec.sigma = loss.sigma;
    spec.deviation = static_cast<float>(loss.deviation);
    spec.excluding = loss.excluding;
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace hardmoe
