// The loss by which a run is stopped early, against PyTorch's and against the network's answers.
#include "train/selection_loss.h"

#include <gtest/gtest.h>

#include "reference_images.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

TEST(SelectionLoss, OfAnImageEqualsPyTorchs) {
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

TEST(SelectionLoss, OfAnImageWithoutTags) {
  const std::vector<float> logits = {2, -1, 0.5F};
  EXPECT_EQ(image_loss(LossKind::softmax, logits, {}), 0);
  EXPECT_NEAR(image_loss(LossKind::sigmoid, logits, {}), 2.1269280110 + 0.3132616875 + 0.9740769842,
              1e-9);
}

TEST(SelectionLoss, IsTheMeanOverTheImagesAskedFor) {
  const ReferenceImages reference;
  const auto engine = make_engine("cpu");
  const Network network = resnet(ReferenceImages::model(), ReferenceImages::tags);
  TrainConfig config;
  config.batch = 2;
  config.loss = LossKind::sigmoid;
  const std::vector<int64_t> items = {0, 2, 3};
  Inference inference(*engine, network, 32, Precision::fp32, 4);
  inference.load(ReferenceImages::weights(), "closed form");
  double expected = 0;
  inference.run(reference.split(), items, [&](int64_t, int64_t rows, auto, auto logits) {
    ASSERT_EQ(rows, 3);
    for (size_t i = 0; i < items.size(); ++i) {
      expected += image_loss(LossKind::sigmoid, logits.subspan(i * 10, 10),
                             reference.split().tags(items[i])) /
                  3;
    }
  });
  SelectionLoss loss(*engine, network, 32, reference.split(), items, config);
  EXPECT_NEAR(loss.of(ReferenceImages::weights()), expected, 1e-4);
  EXPECT_NEAR(loss.of(ReferenceImages::weights()), expected, 1e-4) << "and again";
}

}  // namespace
}  // namespace hardmoe
