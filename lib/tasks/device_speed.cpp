#include "tasks/device_speed.h"

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

constexpr int64_t batch_images = 64, image_pixels = 64, tags = 400;
constexpr int warmup_steps = 3, rounds = 3;

Batch random_batch() {
  Random random(1, RandomUse::test);
  Batch batch;
  batch.size = batch_images;
  batch.input = Tensor(DType::u8, {batch_images, image_pixels, image_pixels, 3});
  for (uint8_t& value : batch.input.as<uint8_t>()) {
    value = static_cast<uint8_t>(random.next_u32() >> 24);
  }
  for (int64_t row = 0; row < batch_images; ++row) {
    batch.tag_ids.push_back(static_cast<int32_t>(random.below(tags)));
    batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
  }
  return batch;
}

/// A network in training, and how fast each of its rounds was.
class Trained {
 public:
  Trained(Engine& engine, const Network& network, Precision precision)
      : precision_(precision),
        program_(engine.compile(network, {.batch = batch_images, .precision = precision})) {
    program_->load_weights(initial_weights(network, 1), "initial weights");
  }

  void step(const Batch& batch, int count) {
    for (int i = 0; i < count; ++i) program_->train_step(batch, 0.01F);
    program_->take_loss();  // waits
  }
  void round(const Batch& batch, double seconds) {
    const double start = now_seconds();
    int64_t images = 0;
    do {
      step(batch, 1);
      images += batch_images;
    } while (now_seconds() - start < seconds);
    rates_.push_back(static_cast<double>(images) / (now_seconds() - start));
  }
  PrecisionSpeed speed() {
    std::ranges::nth_element(rates_, rates_.begin() + rounds / 2);
    return {precision_, rates_[rounds / 2]};
  }

 private:
  Precision precision_;
  std::unique_ptr<Program> program_;
  std::vector<double> rates_;
};

}  // namespace

std::vector<PrecisionSpeed> device_speeds(Engine& engine, double round_seconds) {
  const Network network = resnet({18, Stem::imagenet, 64, image_pixels}, tags);
  const Batch batch = random_batch();
  std::vector<Trained> trained;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    if (engine.supports(precision)) trained.emplace_back(engine, network, precision);
  }
  for (Trained& one : trained) one.step(batch, warmup_steps);
  for (int i = 0; i < rounds; ++i) {
    for (Trained& one : trained) one.round(batch, round_seconds);
  }
  std::vector<PrecisionSpeed> speeds;
  for (Trained& one : trained) speeds.push_back(one.speed());
  return speeds;
}

std::string speeds_text(const std::vector<PrecisionSpeed>& speeds) {
  std::vector<std::string> parts;
  for (const auto& [precision, rate] : speeds) {
    parts.push_back(fmt::format("{} {:.0f}", name_of(precision), rate));
  }
  return join(parts, ", ") + " images/s";
}

}  // namespace hardmoe
