#include "moe/chosen_experts.h"

#include <algorithm>

#include "engine/network_facts.h"
#include "nn/architecture.h"

namespace hardmoe {
namespace {

/// Returns the network up to the gates that `route` reads, which are its feature.
Network until_gates(const Network& whole, const Op& route) {
  const int gates = route.inputs.at(0);
  Network network = whole;
  network.ops.resize(static_cast<size_t>(gates));  // value i + 1 is the output of operator i
  network.logits = -1;
  network.feature = gates;
  if (value_types(whole)[static_cast<size_t>(gates)].rows.kind == RowKind::token) {
    network.feature = network.append({"token_pool", "", {gates}, {{"first", 0}}});
  }
  return network;
}

}  // namespace

std::vector<ChosenExperts> chosen_experts(Engine& engine, const Model& model,
                                          const ImageSet& images, Precision precision) {
  const Network whole = network_of(model.card.model, model.card.tags);
  const auto statistics = gate_statistics(whole);
  std::vector<ChosenExperts> layers;
  for (const Op& op : whole.ops) {
    if (op.type != "route") continue;
    Inference inference(engine, until_gates(whole, op), model.card.model.image_size, precision);
    inference.load(model.weights, "model");
    const auto experts = static_cast<size_t>(feature_size(inference.network()));
    ChosenExperts layer{{statistics.at(layers.size()).layer, std::vector<double>(experts, 0.0)},
                        {}};
    double all = 0;
    inference.run(images, all_items(images), [&](int64_t, int64_t rows, auto gates, auto) {
      for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
        const auto own = gates.subspan(row * experts, experts);
        layer.most_of.push_back(static_cast<uint16_t>(std::ranges::max_element(own) - own.begin()));
        for (size_t e = 0; e < experts; ++e) {
          layer.use.gates[e] += static_cast<double>(own[e]);
          all += static_cast<double>(own[e]);
        }
      }
    });
    for (double& share : layer.use.gates) share = all > 0 ? share / all : 0;
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace hardmoe
