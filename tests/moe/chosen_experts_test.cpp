// Which expert each image goes to, against gates that are found here in float64 from what the layer's
// gate reads.
#include "moe/chosen_experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "data/dataset.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

constexpr size_t experts = 3;

/// A model whose gates choose two experts.
Model model_of(SparseKind kind) {
  Model model;
  ModelConfig& config = model.card.model;
  config.width = 4;
  config.image_size = 8;
  config.sparse = with_defaults({.kind = kind, .experts = experts, .chosen = 2});
  if (kind == SparseKind::vmoe) {
    config.architecture = Architecture::vit;
    config.vit = {.width = 8, .depth = 2, .heads = 2, .patch_size = 8};  // an image is one token
    config.vit.pooling = VitPooling::mean;
  }
  model.card.tags = 3;
  model.weights = initial_weights(network_of(config, model.card.tags), 1);
  return model;
}

Dataset dataset_of(int images, const TemporaryFolder& folder) {
  write_numbered_tar(folder / "images.tar", images, 8, 8);
  IngestOptions options;
  options.sources = {folder / "images.tar"};
  options.out = folder / "data";
  ingest(options);
  return Dataset::open(folder / "data");
}

/// What the gate named so reads, N×D.
std::vector<float> read_by(const std::string& gate, const Model& model, const Split& split,
                           Engine& engine) {
  Network network = network_of(model.card.model, model.card.tags);
  const auto fc = std::ranges::find(network.ops, gate + ".fc", &Op::name);
  network.feature = fc->inputs.at(0);
  network.logits = -1;
  network.ops.resize(static_cast<size_t>(network.feature));
  if (model.card.model.sparse.kind == SparseKind::vmoe) {
    network.feature = network.append({"token_pool", "", {network.feature}, {{"first", 0}}});
  }
  Inference inference(engine, network, model.card.model.image_size, Precision::fp32);
  inference.load(model.weights, "model");
  std::vector<float> read;
  inference.run(split, all_items(split), [&](int64_t, int64_t, std::span<const float> rows, auto) {
    read.insert(read.end(), rows.begin(), rows.end());
  });
  return read;
}

/// The gates of one row's experts, of which the least is not chosen: of Shazeer et al. 2017 a softmax
/// over the two chosen ones, of V-MoE over all.
std::vector<double> gates_of(std::span<const float> row, std::span<const float> weights,
                             SparseKind kind) {
  std::vector<double> gates(experts, 0.0);
  for (size_t e = 0; e < experts; ++e) {
    for (size_t d = 0; d < row.size(); ++d) {
      gates[e] += double{row[d]} * double{weights[e * row.size() + d]};
    }
  }
  const auto least = static_cast<size_t>(std::ranges::min_element(gates) - gates.begin());
  double sum = 0;
  for (size_t e = 0; e < experts; ++e) {
    gates[e] = std::exp(gates[e]);
    if (kind == SparseKind::vmoe || e != least) sum += gates[e];
  }
  for (double& gate : gates) gate /= sum;
  gates[least] = 0;
  return gates;
}

/// Weights of a gate that tell rows (N×D) apart: none is along the rows' mean.
void set_gate(std::span<const float> rows, std::span<float> weights) {
  const size_t depth = weights.size() / experts;
  std::vector<double> mean(depth);
  for (size_t i = 0; i < rows.size(); ++i) mean[i % depth] += double{rows[i]};
  const double square = std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0);
  Random random(2, RandomUse::test);
  for (size_t e = 0; e < experts; ++e) {
    const auto row = weights.subspan(e * depth, depth);
    for (float& value : row) value = 20 * random.normal();
    const double along = std::inner_product(row.begin(), row.end(), mean.begin(), 0.0) / square;
    for (size_t d = 0; d < depth; ++d) row[d] -= static_cast<float>(along * mean[d]);
  }
}

void expect_gates_of(SparseKind kind, const std::string& layer) {
  const TemporaryFolder folder;
  const Dataset dataset = dataset_of(40, folder);
  const Split& split = dataset.split("train");
  const auto engine = make_engine("cpu");
  Model model = model_of(kind);
  const auto read = read_by(layer + ".gate", model, split, *engine);
  const auto weights = model.weights.at(layer + ".gate.fc.weight").as<float>();
  set_gate(read, weights);

  const auto layers = chosen_experts(*engine, model, split, Precision::fp32);
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].use.layer, layer);
  EXPECT_EQ(layers[0].use.gates.size(), experts);
  ASSERT_EQ(std::ssize(layers[0].most_of), split.size());
  const size_t depth = weights.size() / experts;
  std::vector<double> sums(experts, 0.0);
  std::vector<int> images(experts, 0);
  for (size_t i = 0; i < layers[0].most_of.size(); ++i) {
    const auto gates = gates_of(std::span(read).subspan(i * depth, depth), weights, kind);
    const auto most = std::ranges::max_element(gates) - gates.begin();
    EXPECT_EQ(layers[0].most_of[i], most) << i;
    ++images[static_cast<size_t>(most)];
    for (size_t e = 0; e < experts; ++e) sums[e] += gates[e];
  }
  EXPECT_LT(std::ranges::max(images), split.size());  // else this would show little
  const double all = sums[0] + sums[1] + sums[2];
  for (size_t e = 0; e < experts; ++e)
    EXPECT_NEAR(layers[0].use.gates[e], sums[e] / all, 1e-5) << e;
  EXPECT_NEAR(layers[0].use.max_over_mean(), 3 * std::ranges::max(sums) / all, 1e-4);
}

TEST(ChosenExperts, OfAStageAreThoseOfTheGreatestGates) {
  expect_gates_of(SparseKind::shazeer, "layer4");
}

TEST(ChosenExperts, OfTokensToo) { expect_gates_of(SparseKind::vmoe, "blocks.1.mlp"); }

TEST(ChosenExperts, OfAModelWithoutExpertsAreNone) {
  const TemporaryFolder folder;
  const Dataset dataset = dataset_of(4, folder);
  const auto engine = make_engine("cpu");
  EXPECT_TRUE(
      chosen_experts(*engine, model_of(SparseKind::none), dataset.split("train"), Precision::fp32)
          .empty());
}

}  // namespace
}  // namespace hardmoe
