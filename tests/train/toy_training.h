// What the tests of this room train: one linear layer on batches that are a closed form of (epoch,
// position).
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "engine/engine.h"
#include "nn/batch.h"
#include "nn/resnet.h"
#include "train/config.h"

namespace hardmoe {

/// 5 batches an epoch of 8 features of 6 values; image i has tag i mod 4, and its feature leans
/// there.
class ToySource final : public BatchSource {
 public:
  /// Called before each batch; may throw, as a machine may stop.
  std::function<void()> before_next = [] {};

  int64_t items() const override { return 40; }
  int64_t batches_per_epoch() const override { return 5; }
  void start(int64_t epoch, int64_t first_batch) override {
    epoch_ = epoch;
    position_ = first_batch;
  }
  const Batch* next() override {
    before_next();
    if (position_ >= batches_per_epoch()) return nullptr;
    batch_.size = 8;
    batch_.input = Tensor(DType::f32, {8, 6});
    batch_.tag_ptr.assign(1, 0);
    batch_.tag_ids.clear();
    const auto values = batch_.input.as<float>();
    for (int64_t i = 0; i < 8; ++i) {
      const int64_t image = (position_ * 8 + i + 3 * epoch_) % items();
      for (int64_t j = 0; j < 6; ++j) {
        values[static_cast<size_t>(i * 6 + j)] =
            static_cast<float>((7 * image + 5 * j + 11 * epoch_) % 9) / 9.0F +
            (j == image % 4 ? 1.0F : 0.0F);
      }
      batch_.tag_ids.push_back(static_cast<int32_t>(image % 4));
      batch_.tag_ptr.push_back(static_cast<int32_t>(batch_.tag_ids.size()));
    }
    ++position_;
    return &batch_;
  }

 private:
  int64_t epoch_ = 0;
  int64_t position_ = 0;
  Batch batch_;
};

inline Network toy_network() { return linear_decoder(6, 4); }

inline TrainConfig toy_config() {
  TrainConfig config;
  config.epochs = 3;
  config.batch = 8;
  config.lr = 0.1;
  config.log_every = 4;
  return config;
}

inline void expect_same_bytes(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    const Tensor& other = b.at(name);
    ASSERT_EQ(tensor.shape(), other.shape()) << name;
    EXPECT_EQ(std::memcmp(tensor.data(), other.data(), tensor.bytes()), 0) << name;
  }
}

}  // namespace hardmoe
