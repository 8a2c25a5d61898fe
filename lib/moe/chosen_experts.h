// Which expert each image goes to in the layers of experts of a model (nn/sparse.h), for reports of
// what experts have become.
#pragma once

#include <cstdint>
#include <vector>

#include "data/image_set.h"
#include "moe/evaluation.h"
#include "train/inference.h"
#include "train/model_folder.h"

namespace hardmoe {

/// One layer's experts, and images.
struct ChosenExperts {
  LayerUse use;
  std::vector<uint16_t>
      most_of;  ///< by image: the expert of its greatest gate; of a layer that gates
                ///< tokens, of the greatest mean over the image's tokens
};

/// Returns the layers of a model, in the order of its network; none for a model without experts.
std::vector<ChosenExperts> chosen_experts(Engine& engine, const Model& model,
                                          const ImageSet& images, Precision precision);

}  // namespace hardmoe
