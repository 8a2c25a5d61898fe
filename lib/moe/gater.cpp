#include "moe/gater.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/random.h"
#include "base/threads.h"
#include "cluster/nearest.h"
#include "tensor/safetensors.h"

namespace hardmoe {
namespace {

constexpr int64_t most_numbered = 65535;  ///< experts, or centroids: their numbers are uint16

uint16_t drawn_expert(const Gater& gater, int64_t image) {
  Random random(gater.seed, RandomUse::partition, static_cast<uint64_t>(image) + 1);
  return static_cast<uint16_t>(random.below(static_cast<uint64_t>(gater.experts)));
}

void check_inputs(const Gater& gater, MatrixView features) {
  if (features.cols == gater.inputs) return;
  fail("the gater expects features of {} values, found {}; embed with the base it was fitted on",
       gater.inputs, features.cols);
}

CentroidTable centroid_table(const Gater& gater, bool use_prices) {
  return CentroidTable(matrix_view(gater.centroids), use_prices
                                                         ? std::span<const float>(gater.prices)
                                                         : std::span<const float>());
}

struct Choice {
  uint16_t expert;
  float score, distance;
};

/// Finds the `count` best experts of point z, given its scores under all centroids. An expert is
/// ranked by its best centroid (among equals the lower one). A halved expert's halves follow one
/// another, the chosen one first.
void rank_experts(const Gater& gater, const float* z, const float* scores, bool use_prices,
                  int64_t count, std::vector<Choice>& order) {
  const auto squared_distance = supported_kernels()[0].squared_distance;
  const MatrixView centroids = matrix_view(gater.centroids);
  std::vector<int32_t> best(static_cast<size_t>(gater.experts), -1);
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const auto expert =
        gater.expert_of.empty() ? static_cast<size_t>(c) : gater.expert_of[static_cast<size_t>(c)];
    if (best[expert] < 0 || scores[c] < scores[best[expert]])
      best[expert] = static_cast<int32_t>(c);
  }
  order.clear();
  for (size_t e = 0; e < best.size(); ++e) {  // a half made later has no centroid here
    if (best[e] >= 0) order.push_back({static_cast<uint16_t>(e), scores[best[e]], 0});
  }
  const auto sorted = std::min<int64_t>(count, static_cast<int64_t>(order.size()));
  std::partial_sort(
      order.begin(), order.begin() + sorted, order.end(), [&](const Choice& a, const Choice& b) {
        return a.score < b.score || (a.score == b.score && best[a.expert] < best[b.expert]);
      });
  order.resize(static_cast<size_t>(sorted));
  for (Choice& choice : order) {
    choice.distance = squared_distance(z, centroids.row(best[choice.expert]), centroids.cols);
  }
  for (const ExpertHalving& halving : gater.halvings) {
    const auto parent = std::find_if(order.begin(), order.end(), [&](const Choice& choice) {
      return choice.expert == halving.parent;
    });
    if (parent == order.end()) continue;
    const MatrixView pair = matrix_view(halving.centroids);
    const bool child_first = halving.choose(z, use_prices) == halving.child;
    Choice halves[2];
    for (int h = 0; h < 2; ++h) {
      halves[h] = {h == 0 ? halving.parent : halving.child, parent->score,
                   squared_distance(z, pair.row(h), pair.cols)};
    }
    *parent = halves[child_first ? 1 : 0];
    order.insert(parent + 1, halves[child_first ? 0 : 1]);
  }
}

template <class Integer>
Integer metadata_number(const Metadata& metadata, const std::string& key,
                        const std::string& where) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) fail("{}: metadata '{}' is missing; not a gater", where, key);
  const std::string& text = found->second;
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail("{}: metadata '{}' is '{}', expected a number", where, key, text);
  }
  return value;
}

const Tensor& require_type(const StateDict& tensors, const std::string& name,
                           const std::string& where, const Shape& shape, DType type) {
  const Tensor& tensor = require_tensor(tensors, name, where, &shape);
  if (tensor.dtype() != type) {
    fail("{}: tensor '{}' is {}, expected {}", where, name, name_of(tensor.dtype()), name_of(type));
  }
  return tensor;
}

const Tensor& require_float(const StateDict& tensors, const std::string& name,
                            const std::string& where, const Shape& shape) {
  const Tensor& tensor = require_type(tensors, name, where, shape, DType::f32);
  if (!all_finite(tensor.as<float>().data(), tensor.elements())) {
    fail("{}: tensor '{}' holds NaN or infinity, expected finite numbers; make the partition again",
         where, name);
  }
  return tensor;
}

/// Adds splits.experts (S×2: parent, child), splits.centroids (2S×P) and splits.prices (S×2).
void add_halvings(const Gater& gater, StateDict& tensors) {
  const auto count = static_cast<int64_t>(gater.halvings.size());
  std::vector<int32_t> experts;
  std::vector<float> prices, centroids;
  for (const ExpertHalving& halving : gater.halvings) {
    experts.insert(experts.end(), {halving.parent, halving.child});
    prices.insert(prices.end(), halving.prices, halving.prices + 2);
    const auto pair = halving.centroids.as<float>();
    centroids.insert(centroids.end(), pair.begin(), pair.end());
  }
  tensors["splits.experts"] = Tensor::from(experts, {count, 2});
  tensors["splits.prices"] = Tensor::from(prices, {count, 2});
  tensors["splits.centroids"] =
      Tensor::from(centroids, {2 * count, static_cast<int64_t>(centroids.size()) / (2 * count)});
}

/// Returns how many experts were halved after the fit.
int64_t count_halvings(const StateDict& tensors, const std::string& where) {
  if (!tensors.contains("splits.experts")) return 0;
  const Shape& shape = require_tensor(tensors, "splits.experts", where).shape();
  if (shape.size() == 2 && shape[1] == 2) return shape[0];
  fail("{}: tensor 'splits.experts' has shape {}, expected halvings × 2 (parent, child)", where,
       to_string(shape));
}

void load_halvings(const StateDict& tensors, const std::string& where, int64_t dimensions,
                   Gater& gater) {
  const int64_t count = count_halvings(tensors, where);
  if (count == 0) return;
  const Shape pairs = {count, 2};
  const auto experts =
      require_type(tensors, "splits.experts", where, pairs, DType::i32).as<int32_t>();
  const auto prices = require_float(tensors, "splits.prices", where, pairs).as<float>();
  const auto centroids =
      require_float(tensors, "splits.centroids", where, {2 * count, dimensions}).as<float>();
  for (size_t s = 0; s < static_cast<size_t>(count); ++s) {
    for (const int32_t expert : {experts[2 * s], experts[2 * s + 1]}) {
      if (expert >= 0 && expert < gater.experts) continue;
      fail("{}: tensor 'splits.experts' names expert {} of {}", where, expert, gater.experts);
    }
    const auto pair = centroids.subspan(2 * s * static_cast<size_t>(dimensions),
                                        2 * static_cast<size_t>(dimensions));
    gater.halvings.push_back(
        {static_cast<uint16_t>(experts[2 * s]),
         static_cast<uint16_t>(experts[2 * s + 1]),
         Tensor::from(std::vector<float>(pair.begin(), pair.end()), {2, dimensions}),
         {prices[2 * s], prices[2 * s + 1]}});
  }
}

std::vector<uint16_t> load_expert_of(const StateDict& tensors, const std::string& where,
                                     int64_t centroids, int64_t experts) {
  const Shape shape = {centroids};
  std::vector<uint16_t> expert_of;
  for (const int32_t expert :
       require_type(tensors, "expert_of", where, shape, DType::i32).as<int32_t>()) {
    if (expert < 0 || expert >= experts) {
      fail("{}: tensor 'expert_of' names expert {} of {}", where, expert, experts);
    }
    expert_of.push_back(static_cast<uint16_t>(expert));
  }
  return expert_of;
}

/// Throws Error unless every expert has a centroid, or was made by halving one that was there:
/// otherwise no image could reach it, or fewer experts than there are would be ranked.
void check_reachable(const Gater& gater, const std::string& where) {
  std::vector<bool> found(static_cast<size_t>(gater.experts));
  if (gater.expert_of.empty()) std::fill_n(found.begin(), gater.centroids.size(0), true);
  for (const uint16_t expert : gater.expert_of) found[expert] = true;
  for (const ExpertHalving& halving : gater.halvings) {
    if (!found[halving.parent] || found[halving.child]) {
      fail("{}: tensor 'splits.experts' makes expert {} of {}, expected a new one of one there is",
           where, halving.child, halving.parent);
    }
    found[halving.child] = true;
  }
  if (const auto none = std::find(found.begin(), found.end(), false); none != found.end()) {
    fail("{}: gives expert {} no centroid", where, none - found.begin());
  }
}

}  // namespace

std::array<float, 2> ExpertHalving::scores(const float* z, bool use_prices) const {
  const auto squared_distance = supported_kernels()[0].squared_distance;
  const MatrixView pair = matrix_view(centroids);
  std::array<float, 2> scores{};
  for (size_t h = 0; h < 2; ++h) {
    scores[h] = squared_distance(z, pair.row(static_cast<int64_t>(h)), pair.cols) +
                (use_prices ? prices[h] : 0);
  }
  return scores;
}

uint16_t ExpertHalving::choose(const float* z, bool use_prices) const {
  const auto [of_parent, of_child] = scores(z, use_prices);
  return of_child < of_parent ? child : parent;
}

float Gater::distance_to(const float* z, uint16_t expert) const {
  const auto squared_distance = supported_kernels()[0].squared_distance;
  for (auto halving = halvings.rbegin(); halving != halvings.rend(); ++halving) {
    const MatrixView pair = matrix_view(halving->centroids);
    if (halving->child == expert) return squared_distance(z, pair.row(1), pair.cols);
    if (halving->parent == expert) return squared_distance(z, pair.row(0), pair.cols);
  }
  const MatrixView rows = matrix_view(centroids);
  if (expert_of.empty()) return squared_distance(z, rows.row(expert), rows.cols);
  float least = INFINITY;
  for (size_t c = 0; c < expert_of.size(); ++c) {
    if (expert_of[c] != expert) continue;
    least = std::min(least, squared_distance(z, rows.row(static_cast<int64_t>(c)), rows.cols));
  }
  return least;
}

float Gater::score_of(const float* z, uint16_t expert) const {
  float behind = 0;  // the siblings that are chosen in its place
  for (auto halving = halvings.rbegin(); halving != halvings.rend(); ++halving) {
    if (expert != halving->parent && expert != halving->child) continue;
    const auto [of_parent, of_child] = halving->scores(z, /*use_prices=*/true);
    const float lead = of_parent - of_child;
    behind += std::max(0.0F, expert == halving->parent ? lead : -lead);
    expert = halving->parent;
  }
  const auto squared_distance = supported_kernels()[0].squared_distance;
  const MatrixView rows = matrix_view(centroids);
  float least = INFINITY;
  for (size_t c = 0; c < prices.size(); ++c) {
    if ((expert_of.empty() ? c : size_t{expert_of[c]}) != expert) continue;
    const float distance = squared_distance(z, rows.row(static_cast<int64_t>(c)), rows.cols);
    least = std::min(least, distance + prices[c]);
  }
  return least + behind;
}

Tensor Gater::project(MatrixView features) const {
  check_inputs(*this, features);
  if (pca) return transform(*pca, features);
  Tensor copy(DType::f32, {features.rows, features.cols});
  std::copy_n(features.data, copy.elements(), copy.as<float>().data());
  return copy;
}

std::vector<uint16_t> Gater::route(MatrixView features, bool use_prices,
                                   int64_t first_image) const {
  check_inputs(*this, features);
  std::vector<uint16_t> result(static_cast<size_t>(features.rows));
  if (kind == PartitionMethod::random) {
    for (size_t i = 0; i < result.size(); ++i) {
      result[i] = drawn_expert(*this, first_image + static_cast<int64_t>(i));
    }
    return result;
  }
  const CentroidTable table = centroid_table(*this, use_prices);
  Tensor projected;
  if (pca) projected = project(features);
  const MatrixView points = pca ? matrix_view(projected) : features;
  assign(points, table, result);
  for (int64_t i = 0; i < points.rows; ++i) {
    uint16_t& choice = result[static_cast<size_t>(i)];
    if (!expert_of.empty()) choice = expert_of[choice];
    for (const ExpertHalving& halving : halvings) {
      if (choice == halving.parent) choice = halving.choose(points.row(i), use_prices);
    }
  }
  return result;
}

ExpertChoices Gater::nearest_experts(MatrixView features, int64_t count, bool use_prices,
                                     int64_t first_image) const {
  check_inputs(*this, features);
  if (count < 1 || count > experts) {
    fail_usage("asked for the {} nearest experts of {}; expected 1 to {}", count, experts, experts);
  }
  ExpertChoices choices{.experts = count, .expert = {}, .squared_distance = {}};
  const auto total = static_cast<size_t>(features.rows * count);
  choices.expert.resize(total);
  choices.squared_distance.resize(total);
  if (kind == PartitionMethod::random) {
    for (int64_t i = 0; i < features.rows; ++i) {
      const int64_t first = drawn_expert(*this, first_image + i);
      for (int64_t j = 0; j < count; ++j) {
        choices.expert[static_cast<size_t>(i * count + j)] =
            static_cast<uint16_t>((first + j) % experts);
      }
    }
    return choices;
  }
  const Tensor projected = project(features);
  const MatrixView points = matrix_view(projected);
  const CentroidTable table = centroid_table(*this, use_prices);
  const int64_t block = table.block_rows();
  parallel_for(points.rows, block, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(block * table.stride()));
    std::vector<Choice> order;
    for (int64_t first = begin; first < end; first += block) {
      const int64_t last = std::min(end, first + block);
      table.score(points.slice(first, last), scores.data());
      for (int64_t i = first; i < last; ++i) {
        rank_experts(*this, points.row(i), scores.data() + (i - first) * table.stride(), use_prices,
                     count, order);
        for (int64_t j = 0; j < count; ++j) {
          const auto at = static_cast<size_t>(i * count + j);
          choices.expert[at] = order[static_cast<size_t>(j)].expert;
          choices.squared_distance[at] = order[static_cast<size_t>(j)].distance;
        }
      }
    }
  });
  return choices;
}

void save_gater(const std::filesystem::path& file, const Gater& gater) {
  StateDict tensors;
  if (gater.pca) {
    tensors["pca.mean"] = gater.pca->mean;
    if (gater.pca->rotates()) tensors["pca.components"] = gater.pca->components;
  }
  if (gater.centroids.elements() > 0) tensors["centroids"] = gater.centroids;
  tensors["prices"] = Tensor::from(gater.prices, {static_cast<int64_t>(gater.prices.size())});
  if (!gater.expert_of.empty()) {
    const std::vector<int32_t> expert_of(gater.expert_of.begin(), gater.expert_of.end());
    tensors["expert_of"] = Tensor::from(expert_of, {static_cast<int64_t>(expert_of.size())});
  }
  if (!gater.halvings.empty()) add_halvings(gater, tensors);
  save_safetensors(file, tensors,
                   {{"format", format_text(gater_format)},
                    {"kind", partition_method_name(gater.kind)},
                    {"experts", std::to_string(gater.experts)},
                    {"inputs", std::to_string(gater.inputs)},
                    {"seed", std::to_string(gater.seed)},
                    {"whitened", gater.pca && gater.pca->whitened ? "true" : "false"}});
}

Gater load_gater(const std::filesystem::path& file) {
  const std::string where = file.string();
  require_file(file, "moe-partition writes it");
  Metadata metadata;
  const StateDict tensors = load_safetensors(file, &metadata);
  require_format(gater_format, metadata["format"], where);
  Gater gater;
  gater.experts = metadata_number<int64_t>(metadata, "experts", where);
  gater.inputs = metadata_number<int64_t>(metadata, "inputs", where);
  gater.seed = metadata_number<uint64_t>(metadata, "seed", where);
  gater.kind = parse_partition_method(metadata["kind"], where);
  if (gater.experts < 1 || gater.experts > most_numbered) {
    fail("{}: metadata 'experts' is {}, expected 1 to {}", where, gater.experts, most_numbered);
  }
  if (gater.inputs < 1) {
    fail("{}: metadata 'inputs' is {}, expected 1 or more", where, gater.inputs);
  }
  if (gater.kind == PartitionMethod::random) {
    const auto prices = require_float(tensors, "prices", where, {gater.experts}).as<float>();
    gater.prices.assign(prices.begin(), prices.end());
    return gater;
  }

  const Tensor& centroids = require_tensor(tensors, "centroids", where);
  const Shape& shape = centroids.shape();
  if (shape.size() != 2 || shape[0] < 1 || shape[0] > most_numbered || shape[1] < 1) {
    fail("{}: tensor 'centroids' has shape {}, expected 1 to {} centroids × dimensions", where,
         to_string(shape), most_numbered);
  }
  int64_t count = gater.experts - count_halvings(tensors, where);
  if (tensors.contains("expert_of")) {
    count = centroids.size(0);
    gater.expert_of = load_expert_of(tensors, where, count, gater.experts);
  }
  int64_t dimensions = gater.inputs;
  const bool rotates = tensors.contains("pca.components");
  if (rotates || tensors.contains("pca.mean")) {
    gater.pca.emplace();
    gater.pca->mean = require_float(tensors, "pca.mean", where, {gater.inputs});
  }
  if (rotates) {
    dimensions = centroids.size(1);
    gater.pca->components =
        require_float(tensors, "pca.components", where, {dimensions, gater.inputs});
    gater.pca->whitened = metadata["whitened"] == "true";
  }
  gater.centroids = require_float(tensors, "centroids", where, {count, dimensions});
  const auto prices = require_float(tensors, "prices", where, {count}).as<float>();
  gater.prices.assign(prices.begin(), prices.end());
  load_halvings(tensors, where, dimensions, gater);
  check_reachable(gater, where);
  return gater;
}

std::vector<float> gating_weights(const ExpertChoices& choices, double temperature) {
  if (!(temperature > 0)) fail_usage("expected a temperature above 0, found {}", temperature);
  std::vector<float> weights(choices.squared_distance.size());
  const auto count = static_cast<size_t>(choices.experts);
  std::vector<double> row(count);
  for (size_t first = 0; first < weights.size(); first += count) {
    const auto distances = std::span(choices.squared_distance).subspan(first, count);
    const double least = *std::min_element(distances.begin(), distances.end());
    double sum = 0;
    for (size_t j = 0; j < count; ++j) {
      row[j] = std::exp((least - double{distances[j]}) / temperature);
      sum += row[j];
    }
    for (size_t j = 0; j < count; ++j) weights[first + j] = static_cast<float>(row[j] / sum);
  }
  return weights;
}

}  // namespace hardmoe
