// The loss by which a run is stopped early, against the network's answers.
#include "train/selection_loss.h"

#include <gtest/gtest.h>

#include "reference_images.h"
#include "train/image_loss.h"

namespace hardmoe {
namespace {

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
