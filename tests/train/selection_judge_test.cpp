// The loss by which a run is stopped early, against the network's answers.
#include "train/selection_judge.h"

#include <gtest/gtest.h>

#include "reference_images.h"
#include "train/image_loss.h"
#include "train/metrics.h"

namespace hardmoe {
namespace {

TEST(SelectionJudge, HasTheMeansOverTheImagesAskedFor) {
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
  MetricsAccumulator ranks({1, 10});
  inference.run(reference.split(), items, [&](int64_t, int64_t rows, auto, auto logits) {
    ASSERT_EQ(rows, 3);
    for (size_t i = 0; i < items.size(); ++i) {
      ranks.add(logits.subspan(i * 10, 10), reference.split().tags(items[i]));
      expected += image_loss(LossKind::sigmoid, logits.subspan(i * 10, 10),
                             reference.split().tags(items[i])) /
                  3;
    }
  });
  SelectionJudge judge(*engine, network, 32, reference.split(), items, config);
  const Judgment found = judge.of(ReferenceImages::weights());
  EXPECT_NEAR(found.loss, expected, 1e-4);
  EXPECT_EQ(judge.of(ReferenceImages::weights()).loss, found.loss) << "and again";
  const std::vector<std::pair<std::string, double>> metrics = {
      {"LRAP", ranks.result().label_ranking_precision},
      {"P@1", ranks.result().at[0].precision},
      {"R@10", ranks.result().at[1].recall_macro}};
  EXPECT_EQ(found.metrics, metrics);
}

}  // namespace
}  // namespace hardmoe
