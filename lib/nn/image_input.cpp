#include "nn/image_input.h"

#include "base/error.h"

namespace hardmoe {

void ImageInput::describe(Fields& f) {
  f.add("mean", mean, "of red, green and blue from 0 to 1, subtracted");
  f.add("deviation", deviation, "what is left is divided by it");
  f.add("crop_share", crop_share,
        "evaluation sees the middle square: its side over the image's short side");
  f.add_enum("resampling", resampling, {"antialiased_bilinear"}, "of that square to image_size");
}

void check_image_input(const ImageInput& input, const std::string& where) {
  for (const double deviation : input.deviation) {
    if (deviation > 0) continue;
    fail_usage("{}.deviation: expected numbers above 0, found {}", where, deviation);
  }
  if (!(input.crop_share > 0 && input.crop_share <= 1)) {
    fail_usage("{}.crop_share: expected above 0 and at most 1, found {}", where, input.crop_share);
  }
}

void set_image_input(const ImageInput& input, int image_size, Network& network) {
  check_image_input(input, "input");
  if (image_size < 8 || image_size > 2048) {
    fail_usage("model.image_size: expected 8 to 2048 pixels, found {}", image_size);
  }
  for (size_t c = 0; c < 3; ++c) {  // the engine's colours run from 0 to 255
    network.mean[c] = static_cast<float>(255 * input.mean[c]);
    network.deviation[c] = static_cast<float>(255 * input.deviation[c]);
  }
  network.crop_share = input.crop_share;
  network.input = InputKind::image;
  network.extent = {image_size, image_size, 3};
}

}  // namespace hardmoe
