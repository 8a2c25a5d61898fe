// Retrieval and the linear probe beside scikit-learn's.
#include <gtest/gtest.h>

#include <cmath>

#include "expect_error.h"
#include "moe/linear_probe.h"
#include "moe/retrieval.h"
#include "reference_images.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

const StateDict& stored() {
  static const StateDict tensors = load_safetensors(test_file("probe.safetensors"));
  return tensors;
}

void expect_means(const Retrieval& found, const char* name) {
  const auto expected = stored().at(name).as<double>();
  EXPECT_EQ(found.queries, expected[0]);
  EXPECT_NEAR(found.precision, expected[1], 1e-12);
  EXPECT_NEAR(found.recall, expected[2], 1e-12);
  EXPECT_NEAR(found.hit, expected[3], 1e-12);
}

TEST(Retrieval, MatchesScikitLearnsNeighboursInAllAndAcrossExperts) {
  const MatrixView rows = matrix_view(stored().at("rows"));
  const auto leaf = stored().at("leaf").as<int32_t>();
  const auto experts = stored().at("experts").as<uint16_t>();
  expect_means(retrieval(rows, leaf, 10), "all");
  expect_means(retrieval(rows, leaf, 10, Neighbours::of_other_experts, experts), "across");
  expect_error([&] { retrieval(rows, leaf.first(3), 10); }, {"130 features, 3 leaf tags"});
}

TEST(Retrieval, MeasuresWhatLittleThereIs) {
  // Two images at right angles and one without a direction: the only other one with the leaf tag.
  const Tensor rows = Tensor::from(std::vector<float>{3, 0, 0, 5, 0, 0}, {3, 2});
  const Retrieval found = retrieval(matrix_view(rows), std::vector<int32_t>{4, 2, 4}, 10);
  EXPECT_EQ(found.queries, 2);             // the second is alone with its tag
  EXPECT_DOUBLE_EQ(found.precision, 0.5);  // of the two there are
  EXPECT_DOUBLE_EQ(found.recall, 1);
  const std::vector<uint16_t> one_expert(3);
  EXPECT_EQ(retrieval(matrix_view(rows), std::vector<int32_t>{4, 2, 4}, 1,
                      Neighbours::of_other_experts, one_expert)
                .queries,
            0);
}

TEST(Retrieval, ALeafTagIsTheRarest) {
  const ReferenceImages reference;  // four images of one tag
  EXPECT_EQ(leaf_tags(reference.split(), false), (std::vector<int32_t>{0, 0, 0, 0}));
}

TEST(LinearProbe, MatchesScikitLearnsLogisticRegression) {
  const Standardisation scaling(matrix_view(stored().at("train")));
  const Tensor train = scaling.apply(matrix_view(stored().at("train")));
  const LinearProbe probe = train_probe(matrix_view(train), stored().at("train_leaf").as<int32_t>(),
                                        {.l2 = 0.01, .iterations = 300});
  ASSERT_EQ(probe.classes.size(), 7U);
  const auto weight = stored().at("weight").as<double>();
  ASSERT_EQ(probe.weight.size(), weight.size());
  for (size_t i = 0; i < weight.size(); ++i) EXPECT_NEAR(probe.weight[i], weight[i], 2e-3);
  // Biases have no penalty: softmax leaves a constant free, which starts and stays at a mean of 0.
  for (size_t c = 0; c < 7; ++c) {
    EXPECT_NEAR(probe.bias[c], stored().at("bias").as<double>()[c], 2e-3);
  }
  const Tensor rows = scaling.apply(matrix_view(stored().at("rows")));
  const auto predicted = probe.predict(matrix_view(rows));
  const auto expected = stored().at("predicted").as<int32_t>();
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(predicted[i], expected[i]) << i;
}

TEST(LinearProbe, NeedsTwoClasses) {
  const Tensor rows = Tensor::from(std::vector<float>{1, 2}, {2, 1});
  expect_error(
      [&] {
        train_probe(matrix_view(rows), std::vector<int32_t>{3, 3});
      },
      {"two leaf tags"});
  const Standardisation flat(matrix_view(Tensor::from(std::vector<float>{7, 7}, {2, 1})));
  EXPECT_EQ(flat.apply(matrix_view(rows)).as<float>()[1], 0);
}

}  // namespace
}  // namespace hardmoe
