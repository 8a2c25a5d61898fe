// How an image is prepared for a network's first layer.
#pragma once

#include <array>
#include <string>

#include "base/config.h"
#include "nn/network.h"

namespace hardmoe {

/// How an image's pixels are resampled to the size a network takes.
enum class Resampling {
  antialiased_bilinear,  ///< image/resize.h
};

/// How an image is prepared for the first layer, as model.yaml stores it beside the weights.
struct ImageInput {
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  ///< of red, green, blue, on the scale 0 … 1
  std::array<double, 3> deviation = {0.229, 0.224, 0.225};  ///< on the same scale
  double crop_share = 1;  ///< side of evaluation's centred square over the image's short side
  Resampling resampling = Resampling::antialiased_bilinear;
  void describe(Fields& f);
};

/// Throws Error(usage) that begins with `where` and names the field, for a deviation that is not
/// above 0 or a crop_share outside (0, 1].
void check_image_input(const ImageInput& input, const std::string& where);

/// Makes `network` one of images of image_size×image_size pixels, prepared so. Throws Error(usage)
/// for an image size outside 8 … 2048, and as check_image_input() does.
void set_image_input(const ImageInput& input, int image_size, Network& network);

}  // namespace hardmoe
