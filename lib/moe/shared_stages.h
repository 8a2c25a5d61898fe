// Which first stages all experts of a mixture have in common with its base, bit for bit, as experts
// trained with expert.freeze do: such stages need to be computed once an image.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "train/model_folder.h"

namespace hardmoe {

/// Returns the last cut (nn/resnet.h) up to which parameters and running statistics of all experts
/// are the base's; none if their stems differ already, or if the base is no ResNet. Reads no more of
/// the experts' files than it must, and leaves it to those who load experts to check the rest.
std::optional<int> shared_cut(const Model& base, const std::vector<std::filesystem::path>& experts);

}  // namespace hardmoe
