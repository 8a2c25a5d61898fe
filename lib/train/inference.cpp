#include "train/inference.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "engine/network_facts.h"

namespace hardmoe {

void require_precision(const Engine& engine, Precision precision) {
  if (engine.supports(precision)) return;
  fail_usage("precision: this device ({1}) cannot compute in {0}; use fp32", name_of(precision),
             engine.describe());
}

Inference::Inference(Engine& engine, Network network, int image_size, Precision precision,
                     int64_t batch)
    : network_(std::move(network)), image_size_(image_size), batch_(batch) {
  CompileOptions options;
  options.batch = batch;
  options.precision = precision;
  options.mode = Mode::infer;
  options.deterministic = true;  // measuring again gives the same numbers
  program_ = engine.compile(network_, options);
  feature_size_ = feature_size(network_);
  logits_size_ = logits_size(network_);
  features_.resize(static_cast<size_t>(batch * feature_size_));
  logits_.resize(static_cast<size_t>(batch * logits_size_));
}

void Inference::load(const StateDict& weights, const std::string& where) {
  program_->load_weights(weights, where);
}

void Inference::run(const ImageSet& images, const std::vector<int64_t>& items, const Visit& visit) {
  if (items.empty()) return;
  const auto views = images.views(items, batch_, {image_size_, network_.crop_share});
  views->start(0);
  std::optional<Progress> progress;
  if (images.shows_progress()) progress.emplace("images", std::ssize(items));
  run_batches([&] { return views->next(); },
              [&](int64_t position, int64_t rows, auto features, auto logits) {
                visit(position, rows, features, logits);
                if (progress) progress->update(position + rows);
              });
}

void Inference::run(const Tensor& maps, const std::vector<int64_t>& rows, const Visit& visit) {
  const Extent& in = network_.extent;
  const auto each = static_cast<size_t>(in.elements());
  Batch batch;
  batch.input = Tensor(DType::f32, {batch_, in.height, in.width, in.channels});
  auto next = rows.begin();
  run_batches(
      [&]() -> const Batch* {
        if (next == rows.end()) return nullptr;
        batch.size = std::min<int64_t>(batch_, rows.end() - next);
        batch.tag_ptr.assign(static_cast<size_t>(batch.size) + 1, 0);
        float* to = batch.input.as<float>().data();
        for (int64_t i = 0; i < batch.size; ++i, to += each) {
          std::copy_n(maps.as<float>().data() + static_cast<size_t>(*next++) * each, each, to);
        }
        return &batch;
      },
      visit);
}

void Inference::run_batches(const std::function<const Batch*()>& next, const Visit& visit) {
  int64_t position = 0;
  std::deque<int64_t> sent;  // rows of the batches that were submitted
  const auto receive = [&] {
    const int64_t count = sent.front();
    sent.pop_front();
    program_->receive(features_, logits_);
    const auto rows = static_cast<size_t>(count);
    visit(position, count, std::span(features_).first(rows * static_cast<size_t>(feature_size_)),
          std::span(logits_).first(rows * static_cast<size_t>(logits_size_)));
    position += count;
  };
  while (const Batch* batch = next()) {
    throw_if_interrupted();
    program_->send(*batch);
    sent.push_back(batch->size);
    if (std::ssize(sent) == program_->most_in_flight()) receive();
  }
  while (!sent.empty()) receive();
}

std::vector<int64_t> all_items(const ImageSet& images) {
  std::vector<int64_t> items(static_cast<size_t>(images.size()));
  std::iota(items.begin(), items.end(), int64_t{0});
  return items;
}

}  // namespace hardmoe
