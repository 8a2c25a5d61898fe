// Which expert each image goes to in the layers of experts of a model (nn/sparse.h), for reports of
// what experts have become.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image_set.h"
#include "train/inference.h"
#include "train/model_folder.h"

namespace hardmoe {

/// One layer's experts, and images.
struct ChosenExperts {
  std::string layer;    ///< "layer4"
  int64_t experts = 0;  ///< E
  std::vector<uint16_t>
      most_of;                ///< by image: the expert of its greatest gate; of a layer that gates
                              ///< tokens, of the greatest mean over the image's tokens
  std::vector<double> gates;  ///< E: the experts' shares of all images' gates

  /// Returns the greatest share over the mean one, 1/E.
  double max_over_mean() const;
};

/// Returns the layers of a model, in the order of its network; none for a model without experts.
std::vector<ChosenExperts> chosen_experts(Engine& engine, const Model& model,
                                          const ImageSet& images, Precision precision);

}  // namespace hardmoe
