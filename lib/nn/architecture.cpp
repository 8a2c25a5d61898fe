#include "nn/architecture.h"

#include "base/error.h"
#include "nn/resnet.h"
#include "nn/sparse_resnet.h"
#include "nn/vmoe.h"

namespace hardmoe {

void check_layers(const ModelConfig& config) {
  const SparseConfig& sparse = config.sparse;
  if (sparse.kind == SparseKind::none) return;
  const bool tokens = sparse.kind == SparseKind::vmoe;
  const bool transformer = config.architecture == Architecture::vit;
  if (tokens != transformer) {
    fail_usage("sparse.layer.kind: {}",
               tokens
                   ? "vmoe has experts in a Vision Transformer; set model.architecture to vit, or "
                     "name another kind"
                   : "shazeer and pavlitska have experts in a ResNet; name vmoe, or set "
                     "model.architecture to resnet");
  }
  check_sparse(with_defaults(sparse), "sparse.layer");
}

SparseNetwork sparse_network_of(const ModelConfig& config, int64_t tags) {
  check_layers(config);
  const bool dense = config.sparse.kind == SparseKind::none;
  if (config.architecture == Architecture::resnet) {
    return dense ? SparseNetwork{resnet(config, tags), {}} : sparse_resnet(config, tags);
  }
  return dense ? SparseNetwork{vit(transformer_of(config), tags), {}} : vmoe(config, tags);
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
  const bool resnet = config.architecture == Architecture::resnet;
  const VitShape shape = resnet ? VitShape() : vit_shape(transformer_of(config));
  const std::string name =
      resnet ? fmt::format("ResNet-{} of width {}", config.depth, config.width)
             : fmt::format("Vision Transformer of {} blocks of width {}", shape.depth, shape.width);
  const SparseConfig& sparse = config.sparse;
  if (sparse.kind == SparseKind::none) return name;
  return name + fmt::format(" with layers of {} experts", sparse.experts);
}

}  // namespace hardmoe
