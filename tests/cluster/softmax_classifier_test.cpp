#include "cluster/softmax_classifier.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/threads.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

TEST(SoftmaxClassifier, IsScikitLearns) {
  const StateDict stored = load_safetensors(test_file("classifier.safetensors"));
  const MatrixView points = matrix_view(stored.at("points"));
  const auto targets = stored.at("targets").as<float>();
  const auto zeros = LinearClassifier::zeros(4, points.cols);
  for (const char* penalty : {"0.01", "1"}) {
    const std::string name = penalty;
    const auto found = fit_classifier(points, targets, std::stod(name), zeros, zeros);
    const auto weights = stored.at(name + ".weights").as<double>();
    const auto biases = stored.at(name + ".biases").as<double>();
    for (size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(found.weights[i], weights[i], 1e-4);
    double mean = 0;
    for (const double bias : found.biases) mean += bias / 4;
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(found.biases[k] - mean, biases[k], 1e-4);
    EXPECT_NEAR(cross_entropy(found, points, targets), stored.at(name + ".loss").as<double>()[0],
                1e-6);
  }
}

// Without penalty, one-hot points get their own group's mean target.
TEST(SoftmaxClassifier, GivesEachGroupItsMeanTarget) {
  const Tensor points = Tensor::from(std::vector<float>{1, 0, 1, 0, 0, 1}, {3, 2});
  const std::vector<float> targets = {0.5F, 0.25F, 0.25F, 0.1F, 0.2F, 0.7F, 0.2F, 0.2F, 0.6F};
  const auto zeros = LinearClassifier::zeros(3, 2);
  const auto found = fit_classifier(matrix_view(points), targets, 0, zeros, zeros);
  const double expected[2][3] = {{0.3, 0.225, 0.475}, {0.2, 0.2, 0.6}};
  for (size_t group = 0; group < 2; ++group) {
    double sum = 0, shares[3];
    for (size_t k = 0; k < 3; ++k) {
      shares[k] = std::exp(found.weights[k * 2 + group] + found.biases[k]);
      sum += shares[k];
    }
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(shares[k] / sum, expected[group][k], 1e-5);
  }
}

TEST(SoftmaxClassifier, StaysNearWhatItIsTold) {
  const StateDict stored = load_safetensors(test_file("classifier.safetensors"));
  const MatrixView points = matrix_view(stored.at("points"));
  LinearClassifier near = LinearClassifier::zeros(4, points.cols);
  for (size_t i = 0; i < near.weights.size(); ++i) near.weights[i] = 0.1 * static_cast<double>(i);
  const auto found = fit_classifier(points, stored.at("targets").as<float>(), 1e6, near, near);
  for (size_t i = 0; i < near.weights.size(); ++i) {
    EXPECT_NEAR(found.weights[i], near.weights[i], 1e-5);
  }
}

TEST(SoftmaxClassifier, DoesNotDependOnThreads) {
  const StateDict stored = load_safetensors(test_file("classifier.safetensors"));
  const MatrixView few = matrix_view(stored.at("points"));
  constexpr int64_t copies = 40;  // enough for several segments
  Tensor points(DType::f32, {copies * few.rows, few.cols});
  std::vector<float> targets;
  for (int64_t c = 0; c < copies; ++c) {
    std::copy_n(few.data, few.rows * few.cols, points.as<float>().data() + c * few.rows * few.cols);
    const auto rows = stored.at("targets").as<float>();
    targets.insert(targets.end(), rows.begin(), rows.end());
  }
  const auto zeros = LinearClassifier::zeros(4, few.cols);
  const int threads = compute_threads();
  set_compute_threads(1);
  const auto one = fit_classifier(matrix_view(points), targets, 0.01, zeros, zeros);
  set_compute_threads(3);
  const auto three = fit_classifier(matrix_view(points), targets, 0.01, zeros, zeros);
  set_compute_threads(threads);
  EXPECT_EQ(one.weights, three.weights);
  EXPECT_EQ(one.biases, three.biases);
}

}  // namespace
}  // namespace hardmoe
