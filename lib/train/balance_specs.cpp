#include "train/balance_specs.h"

namespace hardmoe {
namespace {

LossKind kind_of(BalanceLoss::Kind kind) {
  switch (kind) {
    case BalanceLoss::Kind::importance:
      return LossKind::importance;
    case BalanceLoss::Kind::load:
      return LossKind::load;
    case BalanceLoss::Kind::divergence:
      return LossKind::divergence;
  }
  return LossKind::importance;
}

}  // namespace

std::vector<LossSpec> balance_specs(const std::vector<BalanceLoss>& losses) {
  std::vector<LossSpec> specs;
  for (const BalanceLoss& loss : losses) {
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
