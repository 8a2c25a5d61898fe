#include "nn/vmoe.h"

#include <cmath>

#include "base/error.h"

namespace hardmoe {
namespace {

/// Appends the operators that take the place of one block's MLP.
class ExpertMlps {
 public:
  ExpertMlps(const SparseConfig& sparse, const VitShape& shape, Network& network,
             const std::string& name, std::vector<GateLoss>& losses)
      : sparse_(sparse), shape_(shape), network_(network), name_(name), losses_(losses) {}

  int build(int tokens) {
    const int gates = gate(tokens);
    const int routing = append("route", ".gate", {gates}, {{"chosen", sparse_.chosen}});
    int value = append("dispatch", ".dispatch", {tokens, routing}, {{"experts", sparse_.experts}});
    value = experts(value, routing, ".experts.fc1", shape_.hidden);
    value = append("gelu", ".experts.act", {value}, {});
    value = experts(value, routing, ".experts.fc2", shape_.width);
    return append("combine", ".combine", {value, gates, routing}, {});
  }

 private:
  int append(const char* type, const char* name, std::vector<int> inputs,
             std::map<std::string, double> attributes) {
    return network_.append({type, name_ + name, std::move(inputs), std::move(attributes)});
  }

  int experts(int value, int routing, const char* name, int64_t channels) {
    return append("expert_linear", name, {value, routing},
                  {{"channels", static_cast<double>(channels)},
                   {"experts", sparse_.experts},
                   {"same_start", 1},
                   {"deviation", vit_initial_deviation}});
  }

  /// Returns the gates, of which all but those of experts that take the token are 0.
  int gate(int tokens) {
    const double begin = 1 / std::sqrt(static_cast<double>(shape_.width));  // as the authors' code
    const double deviation = 1.0 / sparse_.experts;
    const int logits = append("linear", ".gate.fc", {tokens},
                              {{"channels", sparse_.experts}, {"bias", 0}, {"deviation", begin}});
    int noisy = logits;
    if (sparse_.noise) {
      noisy = append("noise", ".gate.noise", {logits}, {{"deviation", deviation}});
    }
    const int shares = append("softmax", ".gate.softmax", {noisy}, {});
    add_losses(logits, noisy, shares, deviation);
    const int gates =
        append("top_k", ".gate.top_k", {shares}, {{"k", sparse_.chosen}, {"softmax", 0}});
    return append("capacity", ".gate.capacity", {gates},
                  {{"k", sparse_.chosen},
                   {"factor", sparse_.capacity},
                   {"priority", static_cast<double>(sparse_.priority)},
                   {"group", 1}});
  }

  void add_losses(int logits, int noisy, int shares, double deviation) {
    using Kind = GateLoss::Kind;
    const auto add = [&](Kind kind, double weight, const char* name, int value) {
      losses_.push_back({.kind = kind,
                         .weight = weight,
                         .name = fmt::format("{}/{}", name, name_),
                         .value = value});
    };
    // Importance is of gates without noise (Riquelme et al. 2021, appendix A.1).
    if (sparse_.importance > 0 || sparse_.divergence > 0) {
      const int clean = noisy == logits ? shares : append("softmax", ".gate.clean", {logits}, {});
      if (sparse_.importance > 0) add(Kind::importance, sparse_.importance, "importance", clean);
      if (sparse_.divergence > 0) add(Kind::divergence, sparse_.divergence, "divergence", clean);
    }
    if (sparse_.load == 0) return;
    add(Kind::load, sparse_.load, "load", logits);
    GateLoss& load = losses_.back();
    load.k = sparse_.chosen;
    load.noisy = noisy;
    load.deviation = deviation;
    load.excluding = false;
  }

  const SparseConfig& sparse_;
  const VitShape& shape_;
  Network& network_;
  std::string name_;
  std::vector<GateLoss>& losses_;
};

}  // namespace

VitConfig transformer_of(const ModelConfig& config) {
  VitConfig transformer = config.vit;
  transformer.image_size = config.image_size;
  transformer.input = config.input;
  return transformer;
}

std::vector<int> sparse_blocks(int depth, int last) {
  const int count = depth / 2;
  if (count == 0) {
    fail_usage(
        "model.vit.depth: layers of experts take every second block; expected at least 2, found {}",
        depth);
  }
  if (last > count) {
    fail_usage("sparse.layer.last: expected 0 to {}, half of {} blocks, found {}", count, depth,
               last);
  }
  std::vector<int> blocks;
  for (int block = last == 0 ? 0 : count - last; block < count; ++block) {
    blocks.push_back(2 * block + 1);
  }
  return blocks;
}

SparseNetwork vmoe(const ModelConfig& config, int64_t tags) {
  const SparseConfig sparse = with_defaults(config.sparse);
  check_sparse(sparse, "sparse.layer");
  const VitConfig transformer = transformer_of(config);
  const VitShape shape = vit_shape(transformer);
  SparseNetwork built;
  std::map<int, VitMlp> mlps;
  for (const int block : sparse_blocks(shape.depth, sparse.last)) {
    mlps[block] = [&](Network& network, int value, const std::string& name) {
      return ExpertMlps(sparse, shape, network, name, built.losses).build(value);
    };
  }
  built.network = vit(transformer, tags, mlps);
  return built;
}

}  // namespace hardmoe
