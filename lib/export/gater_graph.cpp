#include "export/gater_graph.h"

#include "tensor/tensor.h"

namespace hardmoe {
namespace {

std::string position(OnnxGraph& graph, const char* type, const std::string& rows) {
  return graph.node(
      type, {rows},
      {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}, {"select_last_index", int64_t{0}}});
}

std::string write_projection(OnnxGraph& graph, const Pca& pca, const std::string& features) {
  const std::string centred =
      graph.node("Sub", {features, graph.constant(pca.mean, "pca.mean")}, {}, "centred");
  if (!pca.rotates()) return centred;
  return graph.node("Gemm", {centred, graph.constant(pca.components, "pca.components")},
                    {{"transB", int64_t{1}}}, "projected");
}

/// Returns the scores of all centroids but what they have in common, ‖z‖²: N×F.
std::string write_scores(OnnxGraph& graph, const Gater& gater, bool use_prices,
                         const std::string& z) {
  const int64_t count = gater.centroids.size(0), width = gater.centroids.size(1);
  const auto values = gater.centroids.as<float>();
  std::vector<float> constant;
  for (int64_t c = 0; c < count; ++c) {
    double square = use_prices ? static_cast<double>(gater.prices[static_cast<size_t>(c)]) : 0.0;
    for (const float value :
         values.subspan(static_cast<size_t>(c * width), static_cast<size_t>(width))) {
      square += static_cast<double>(value) * static_cast<double>(value);
    }
    constant.push_back(static_cast<float>(square));
  }
  return graph.node("Gemm",
                    {z, graph.constant(gater.centroids, "centroids"),
                     graph.constant(Tensor::from(constant, {count}), "centroid_scores")},
                    {{"alpha", -2.0F}, {"transB", int64_t{1}}}, "scores");
}

/// Returns the experts, where `halving` divides those of its parent.
std::string write_halving(OnnxGraph& graph, const ExpertHalving& halving, bool use_prices,
                          const std::string& z, const std::string& experts) {
  const auto score = [&](int64_t half) {
    const int64_t width = halving.centroids.size(1);
    const auto all = halving.centroids.as<float>().subspan(static_cast<size_t>(half * width),
                                                           static_cast<size_t>(width));
    const Tensor row = Tensor::from(std::vector<float>(all.begin(), all.end()), {1, width});
    const std::string away = graph.node("Sub", {z, graph.constant(row, "split.centroid")});
    const std::string distance =
        graph.node("ReduceSumSquare", {away, graph.integers({1})}, {{"keepdims", int64_t{0}}});
    if (!use_prices) return distance;
    return graph.node("Add", {distance, graph.scalar(halving.prices[half])});
  };
  const std::string nearer = graph.node("Less", {score(1), score(0)});
  const std::string own = graph.node("Equal", {experts, graph.scalar(int64_t{halving.parent})});
  return graph.node(
      "Where", {graph.node("And", {own, nearer}), graph.scalar(int64_t{halving.child}), experts});
}

}  // namespace

std::string write_least(OnnxGraph& graph, const std::string& rows) {
  return position(graph, "ArgMin", rows);
}

std::string write_greatest(OnnxGraph& graph, const std::string& rows) {
  return position(graph, "ArgMax", rows);
}

std::string write_gater(OnnxGraph& graph, const Gater& gater, bool use_prices,
                        const std::string& features) {
  const std::string z = gater.pca ? write_projection(graph, *gater.pca, features) : features;
  std::string experts = write_least(graph, write_scores(graph, gater, use_prices, z));
  if (!gater.expert_of.empty()) {
    const std::vector<int64_t> expert_of(gater.expert_of.begin(), gater.expert_of.end());
    const Tensor table = Tensor::from(expert_of, {std::ssize(expert_of)});
    experts = graph.node("Gather", {graph.constant(table, "expert_of"), experts});
  }
  for (const ExpertHalving& halving : gater.halvings) {
    experts = write_halving(graph, halving, use_prices, z, experts);
  }
  return experts;
}

}  // namespace hardmoe
