#include "moe/gater.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/threads.h"
#include "cluster/nearest.h"
#include "tensor/safetensors.h"

namespace hardmoe {
namespace {

uint16_t drawn_expert(const Gater& gater, int64_t image) {
  Random random(gater.seed, RandomUse::partition, static_cast<uint64_t>(image) + 1);
  return static_cast<uint16_t>(random.below(static_cast<uint64_t>(gater.experts)));
}

void check_inputs(const Gater& gater, MatrixView features) {
  if (features.cols == gater.inputs) return;
  fail("the gater takes features of {} values, found {}; embed with the base it was fitted on",
       gater.inputs, features.cols);
}

CentroidTable centroid_table(const Gater& gater, bool use_prices) {
  return CentroidTable(matrix_view(gater.centroids), use_prices
                                                         ? std::span<const float>(gater.prices)
                                                         : std::span<const float>());
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

const Tensor& require_float(const StateDict& tensors, const std::string& name,
                            const std::string& where, const Shape& shape) {
  const Tensor& tensor = require_tensor(tensors, name, where, &shape);
  if (tensor.dtype() != DType::f32) {
    fail("{}: tensor '{}' is {}, expected float32", where, name, name_of(tensor.dtype()));
  }
  return tensor;
}

}  // namespace

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
  if (!pca) {
    assign(features, table, result);
    return result;
  }
  const Tensor projected = project(features);
  assign(matrix_view(projected), table, result);
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
  const MatrixView points = matrix_view(projected), rows = matrix_view(centroids);
  const CentroidTable table = centroid_table(*this, use_prices);
  const Kernels& kernels = supported_kernels()[0];
  const int64_t block = table.block_rows();
  parallel_for(points.rows, block, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(block * table.stride()));
    std::vector<uint16_t> order(static_cast<size_t>(experts));
    for (int64_t first = begin; first < end; first += block) {
      const int64_t last = std::min(end, first + block);
      table.score(points.slice(first, last), scores.data());
      for (int64_t i = first; i < last; ++i) {
        const float* score = scores.data() + (i - first) * table.stride();
        std::iota(order.begin(), order.end(), uint16_t{0});
        std::partial_sort(order.begin(), order.begin() + count, order.end(),
                          [score](uint16_t a, uint16_t b) {
                            return score[a] < score[b] || (score[a] == score[b] && a < b);
                          });
        for (int64_t j = 0; j < count; ++j) {
          const auto at = static_cast<size_t>(i * count + j);
          choices.expert[at] = order[static_cast<size_t>(j)];
          choices.squared_distance[at] =
              kernels.squared_distance(points.row(i), rows.row(choices.expert[at]), points.cols);
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
    tensors["pca.components"] = gater.pca->components;
  }
  if (gater.centroids.elements() > 0) tensors["centroids"] = gater.centroids;
  tensors["prices"] = Tensor::from(gater.prices, {gater.experts});
  save_safetensors(file, tensors,
                   {{"kind", partition_method_name(gater.kind)},
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
  Gater gater;
  gater.experts = metadata_number<int64_t>(metadata, "experts", where);
  gater.inputs = metadata_number<int64_t>(metadata, "inputs", where);
  gater.seed = metadata_number<uint64_t>(metadata, "seed", where);
  gater.kind = parse_partition_method(metadata["kind"], where);
  if (gater.experts < 1 || gater.experts > 65535) {
    fail("{}: metadata 'experts' is {}, expected 1 to 65535", where, gater.experts);
  }
  const auto prices = require_float(tensors, "prices", where, {gater.experts}).as<float>();
  gater.prices.assign(prices.begin(), prices.end());
  if (gater.kind == PartitionMethod::random) return gater;

  const Tensor& centroids = require_tensor(tensors, "centroids", where);
  if (centroids.shape().size() != 2) {
    fail("{}: tensor 'centroids' has shape {}, expected experts × dimensions", where,
         to_string(centroids.shape()));
  }
  int64_t dimensions = gater.inputs;
  if (tensors.contains("pca.components")) {
    dimensions = centroids.size(1);
    gater.pca.emplace();
    gater.pca->mean = require_float(tensors, "pca.mean", where, {gater.inputs});
    gater.pca->components =
        require_float(tensors, "pca.components", where, {dimensions, gater.inputs});
    gater.pca->whitened = metadata["whitened"] == "true";
  }
  gater.centroids = require_float(tensors, "centroids", where, {gater.experts, dimensions});
  return gater;
}

std::vector<float> expert_weights(const ExpertChoices& choices, double temperature) {
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
