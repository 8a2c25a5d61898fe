#include "train/inference.h"

#include <gtest/gtest.h>

#include "expect_error.h"
#include "reference_images.h"

namespace hardmoe {
namespace {

class InferenceTest : public testing::Test {
 protected:
  InferenceTest() : engine(make_engine("cpu")) {}

  Inference inference(int64_t batch) const {
    return {*engine, resnet(ReferenceImages::model(), ReferenceImages::tags), 32, Precision::fp32,
            batch};
  }

  ReferenceImages reference;
  std::unique_ptr<Engine> engine;
};

TEST_F(InferenceTest, AnswersAsPyTorchDoesWhateverTheBatch) {
  for (const int64_t batch : {1, 3, 4, 16}) {
    SCOPED_TRACE(batch);
    Inference network = inference(batch);
    network.load(ReferenceImages::weights(), "closed form");
    int64_t visited = 0;
    network.run(reference.split(), all_items(reference.split()),
                [&](int64_t position, int64_t rows, auto features, auto logits) {
                  EXPECT_EQ(position, visited);  // in order, none left out
                  EXPECT_LE(rows, batch);
                  const auto width = features.size() / static_cast<size_t>(rows);
                  for (int64_t i = 0; i < rows; ++i) {
                    const auto row = static_cast<size_t>(i);
                    reference.expect_answer("eval.features", position + i,
                                            features.subspan(row * width, width));
                    reference.expect_answer("eval.logits", position + i,
                                            logits.subspan(row * 10, 10));
                  }
                  visited += rows;
                });
    EXPECT_EQ(visited, ReferenceImages::images);
  }
}

TEST_F(InferenceTest, TakesItemsInTheOrderGivenAndRepeated) {
  Inference network = inference(3);
  network.load(ReferenceImages::weights(), "closed form");
  const std::vector<int64_t> items = {3, 0, 3, 2, 2};
  int64_t visited = 0;
  network.run(reference.split(), items, [&](int64_t position, int64_t rows, auto, auto logits) {
    for (int64_t i = 0; i < rows; ++i) {
      reference.expect_answer("eval.logits", items[static_cast<size_t>(position + i)],
                              logits.subspan(static_cast<size_t>(i) * 10, 10));
    }
    visited += rows;
  });
  EXPECT_EQ(visited, 5);
}

TEST_F(InferenceTest, VisitsNothingWhereThereAreNoItems) {
  Inference network = inference(4);
  network.load(ReferenceImages::weights(), "closed form");
  network.run(reference.split(), {}, [](int64_t, int64_t, auto, auto) { FAIL(); });
}

TEST_F(InferenceTest, GivesATrunksFeaturesWithoutLogits) {
  Inference trunk(*engine, resnet(ReferenceImages::model(), 0), 32, Precision::fp32, 4);
  trunk.load(ReferenceImages::weights(), "closed form");
  trunk.run(reference.split(), {1}, [&](int64_t, int64_t rows, auto features, auto logits) {
    EXPECT_EQ(rows, 1);
    EXPECT_TRUE(logits.empty());
    reference.expect_answer("eval.features", 1, features);
  });
}

TEST_F(InferenceTest, NamesTheWeightsThatDoNotFit) {
  Inference network = inference(4);
  StateDict weights = ReferenceImages::weights();
  weights.erase("fc.bias");
  expect_error([&] { network.load(weights, "expert 3"); }, {"expert 3", "fc.bias"});
}

}  // namespace
}  // namespace hardmoe
