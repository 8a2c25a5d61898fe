// The loss of one image, against PyTorch's and closed forms.
#include "train/image_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

TEST(ImageLoss, EqualsPyTorchs) {
  const StateDict reference = load_safetensors(test_file("losses.safetensors"));
  const auto ptr = reference.at("tag_ptr").as<int32_t>();
  const auto ids = reference.at("tag_ids").as<int32_t>();
  for (const std::string prefix : {"", "large_"}) {
    const Tensor& logits = reference.at(prefix + "logits");
    const auto rows = static_cast<size_t>(logits.size(0)),
               tags = static_cast<size_t>(logits.size(1));
    for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
      double mean = 0;
      for (size_t i = 0; i < rows; ++i) {
        const auto first = static_cast<size_t>(ptr[i]), last = static_cast<size_t>(ptr[i + 1]);
        mean += image_loss(kind, logits.as<float>().subspan(i * tags, tags),
                           ids.subspan(first, last - first)) /
                static_cast<double>(rows);
      }
      const std::string name = kind == LossKind::softmax ? "softmax" : "sigmoid";
      EXPECT_NEAR(mean / reference.at(prefix + name + ".loss").as<float>()[0], 1, 1e-6) << name;
    }
  }
}

TEST(ImageLoss, OfAnImageWithoutTags) {
  const std::vector<float> logits = {2, -1, 0.5F};
  EXPECT_EQ(image_loss(LossKind::softmax, logits, {}), 0);
  EXPECT_NEAR(image_loss(LossKind::sigmoid, logits, {}), 2.1269280110 + 0.3132616875 + 0.9740769842,
              1e-9);
}

TEST(ImageLoss, IsTheClosedForm) {
  const std::vector<float> logits = {1, -2, 0.5F};
  const std::vector<int32_t> tags = {0, 2};
  const double sum = std::exp(1) + std::exp(-2) + std::exp(0.5);
  EXPECT_NEAR(image_loss(LossKind::softmax, logits, tags),
              -(std::log(std::exp(1) / sum) + std::log(std::exp(0.5) / sum)) / 2, 1e-6);
  const double sigmoid = std::log1p(std::exp(-1)) + std::log1p(std::exp(-2)) +
                         std::log1p(std::exp(-0.5));  // the tag at −2 is absent
  EXPECT_NEAR(image_loss(LossKind::sigmoid, logits, tags), sigmoid, 1e-6);
}

}  // namespace
}  // namespace hardmoe
