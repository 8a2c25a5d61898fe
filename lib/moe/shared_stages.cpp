#include "moe/shared_stages.h"

#include <cstring>
#include <set>

#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

/// The parameters and statistics before each cut that are behind the cut before it.
std::vector<std::vector<std::string>> names_by_cut(const ModelConfig& model) {
  std::vector<std::vector<std::string>> names;
  size_t before = 0;
  for (int cut = 0; cut <= last_cut; ++cut) {
    const auto specs = parameters_of(resnet_until(model, cut));
    std::vector<std::string>& own = names.emplace_back();
    for (size_t i = before; i < specs.size(); ++i) own.push_back(specs[i].name);
    before = specs.size();
  }
  return names;
}

bool has_the_same(const StateDict& a, const StateDict& b, const std::string& name) {
  const auto x = a.find(name), y = b.find(name);
  return x != a.end() && y != b.end() && x->second.dtype() == y->second.dtype() &&
         x->second.shape() == y->second.shape() &&
         std::memcmp(x->second.data(), y->second.data(), x->second.bytes()) == 0;
}

}  // namespace

std::optional<int> shared_cut(const Model& base,
                              const std::vector<std::filesystem::path>& experts) {
  if (!is_resnet(base.card.model)) return std::nullopt;
  const auto names = names_by_cut(base.card.model);
  size_t shared = experts.empty() ? 0 : names.size();  // cuts
  for (const auto& folder : experts) {
    if (shared == 0) break;
    if (!is_same_network(load_model_card(folder), base.card)) return std::nullopt;
    std::set<std::string> wanted;
    for (size_t cut = 0; cut < shared; ++cut) wanted.insert(names[cut].begin(), names[cut].end());
    const StateDict own =
        load_safetensors(folder / "model.safetensors", nullptr,
                         [&](const std::string& name) { return wanted.contains(name); });
    for (size_t cut = 0; cut < shared; ++cut) {
      for (const auto& name : names[cut]) {
        if (!has_the_same(own, base.weights, name)) shared = cut;
      }
    }
  }
  if (shared == 0) return std::nullopt;
  return static_cast<int>(shared) - 1;
}

}  // namespace hardmoe
