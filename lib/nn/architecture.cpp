#include "nn/architecture.h"

#include "base/error.h"
#include "nn/resnet.h"
#include "nn/sparse_resnet.h"

namespace hardmoe {

SparseNetwork sparse_network_of(const ModelConfig& config, int64_t tags) {
  if (config.sparse.kind == SparseKind::none) return {resnet(config, tags), {}};
  return sparse_resnet(config, tags);
}

Network network_of(const ModelConfig& config, int64_t tags) {
  return sparse_network_of(config, tags).network;
}

bool is_resnet(const ModelConfig& config) {
  return config.architecture == Architecture::resnet && config.sparse.kind == SparseKind::none;
}

void require_resnet(const ModelConfig& config, const std::string& what) {
  if (is_resnet(config)) return;
  fail_usage("{}: needs a plain ResNet, and the model is a {}", what, name_of(config));
}

std::string name_of(const ModelConfig& config) {
  std::string name = fmt::format("ResNet-{} of width {}", config.depth, config.width);
  const SparseConfig& sparse = config.sparse;
  if (sparse.kind == SparseKind::none) return name;
  return name + fmt::format(" with layers of {} experts", sparse.experts);
}

}  // namespace hardmoe
