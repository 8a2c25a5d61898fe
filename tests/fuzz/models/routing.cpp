// What routes images to experts, and what was measured of them.
#include <array>

#include "base/stage.h"
#include "fuzz/input_files.h"
#include "fuzz/models/targets.h"
#include "moe/evaluation.h"
#include "moe/gater.h"
#include "moe/image_results.h"
#include "moe/partition.h"

namespace hardmoe {
namespace {

/// Routes two features by the gater.
void route_two(const Gater& gater) {
  constexpr int64_t most_inputs = 4096;
  if (gater.inputs < 0 || gater.inputs > most_inputs) return;
  Tensor features(DType::f32, {2, gater.inputs});
  const auto values = features.as<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.25F * static_cast<float>(i % 7) - 0.5F;
  for (const bool prices : {true, false}) {
    for (const uint16_t expert : gater.route(matrix_view(features), prices)) {
      require(expert < gater.experts, "an image goes to an expert that there is not");
    }
    const int64_t count = std::min<int64_t>(gater.experts, 8);
    const ExpertChoices choices = gater.nearest_experts(matrix_view(features), count, prices);
    for (const uint16_t expert : choices.expert) {
      require(expert < gater.experts, "an expert that there is not is near");
    }
    gating_weights(choices, 1);
  }
  if (gater.kind == PartitionMethod::random) return;
  const Tensor projected = gater.project(matrix_view(features));
  const float* z = projected.as<float>().data();
  for (int64_t expert = 0; expert < std::min<int64_t>(gater.experts, 8); ++expert) {
    gater.distance_to(z, static_cast<uint16_t>(expert));
    gater.score_of(z, static_cast<uint16_t>(expert));
  }
}

}  // namespace

void fuzz_gater(std::string_view bytes) { route_two(load_gater(file_of(bytes))); }

void fuzz_partition(std::string_view bytes) {
  constexpr std::array<std::string_view, 4> names = {"partition.json", "gater.safetensors",
                                                     "assignment.npy", "stage.json"};
  const Partition partition = load_partition(folder_of(bytes, names));
  for (const uint16_t expert : partition.assignment) {
    require(expert < partition.sizes.size(), "an image has an expert that there is not");
  }
  describe(partition);
  route_two(partition.gater);
}

void fuzz_evaluation(std::string_view bytes) {
  constexpr std::array<std::string_view, 3> names = {"stage.json", "images.npy", "experts.npy"};
  const auto folder = folder_of(bytes, names);
  or_refused([&] {
    const auto evaluation = parse_evaluation(stage_results(folder, "moe-eval"), "stage.json");
    evaluation_text(evaluation);
    evaluation_json(evaluation);
  });
  const ImageResults results = load_image_results(folder);
  for (const std::string& column : results.columns) image_column(results, column, "images.npy");
}

}  // namespace hardmoe
