// Times whole training steps as moe-train-base takes them (forward, loss, backward, update), or
// embedding as moe-embed does it (features brought to the host), and prints a JSON line with the
// rate and where the time went. Images come through the loader from a dataset, decoded and
// augmented in the background, or are random pixels in memory: then the step alone is timed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/loader.h"
#include "engine/engine.h"
#include "engine/network_facts.h"
#include "nn/resnet.h"

using namespace hardmoe;

namespace {

struct Options {
  std::string dataset, precision = "fp32", stem = "imagenet", device = "cpu";
  ModelConfig model{18, Stem::imagenet, 64, 64};
  int64_t batch = 64, steps = 20, warmup = 5, tags = 0;
  bool embed = false, profile = false, paced = false, deterministic = false;
};

Precision precision_of(const std::string& name) {
  return name == "bf16" ? Precision::bf16 : name == "tf32" ? Precision::tf32 : Precision::fp32;
}

/// Batches without end: of a dataset, epoch after epoch, or of random pixels with five tags each.
class Batches {
 public:
  Batches(const Options& options, const Split* split, int64_t tags) {
    if (split != nullptr) {
      LoaderOptions loading;
      loading.batch = options.batch;
      loading.image_size = options.model.image_size;
      loading.training = !options.embed;
      loading.augment.crop = Crop::pad;
      loading.threads = compute_threads();
      loader_.emplace(*split, std::vector<int64_t>{}, loading);
      loader_->start(0);
      return;
    }
    const int64_t size = options.model.image_size;
    for (uint64_t i = 0; i < 4; ++i) {
      Random random(1, RandomUse::test, i);
      Batch batch;
      batch.size = options.batch;
      batch.input = Tensor(DType::u8, {options.batch, size, size, 3});
      for (uint8_t& value : batch.input.as<uint8_t>()) {
        value = static_cast<uint8_t>(random.next_u32() >> 24);
      }
      for (int64_t row = 0; row < batch.size; ++row) {
        const int64_t first = static_cast<int64_t>(random.below(static_cast<uint64_t>(tags)));
        for (int64_t t = first; t < std::min(first + 5, tags); ++t) {
          batch.tag_ids.push_back(static_cast<int32_t>(t));
        }
        batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
      }
      memory_.push_back(std::move(batch));
    }
  }

  const Batch& next() {
    if (!loader_) return memory_[position_++ % memory_.size()];
    const Batch* batch = loader_->next();
    while (batch == nullptr || batch->size < batch->input.size(0)) {  // whole batches only
      if (batch == nullptr) loader_->start(++epoch_);
      batch = loader_->next();
    }
    return *batch;
  }
  /// Steps that fill the loader's cache.
  int64_t warmup() const { return loader_ ? loader_->batches_per_epoch() : 0; }
  double waited() const { return loader_ ? loader_->waited_seconds() : 0; }

 private:
  std::optional<Loader> loader_;
  std::vector<Batch> memory_;
  size_t position_ = 0;
  int64_t epoch_ = 0;
};

void measure(const Options& options) {
  std::optional<Dataset> dataset;
  if (!options.dataset.empty()) dataset = Dataset::open(options.dataset);
  const int64_t tags = std::max<int64_t>(options.tags, dataset ? dataset->vocabulary().size() : 1);
  Batches batches(options, dataset ? &dataset->split("train") : nullptr, tags);
  const auto engine = make_engine(options.device);
  CompileOptions compile;
  compile.batch = options.batch;
  compile.precision = precision_of(options.precision);
  compile.mode = options.embed ? Mode::infer : Mode::train;
  compile.deterministic = options.deterministic;
  compile.optimizer.weight_decay = 5e-4F;
  const Network network = resnet(options.model, options.embed ? 0 : tags);
  const double compile_start = now_seconds();
  const auto program = engine->compile(network, compile);
  program->load_weights(initial_weights(network, 1), "initial weights");
  const double compile_seconds = now_seconds() - compile_start;

  std::vector<float> features(static_cast<size_t>(options.batch * feature_size(network)));
  const auto run = [&](int64_t count) {
    int sent = 0;
    for (int64_t i = 0; i < count; ++i) {
      const Batch& batch = batches.next();
      if (options.embed) {
        program->send(batch);
        if (++sent == program->most_in_flight()) {
          program->receive(features, {});
          --sent;
        }
      } else {
        program->train_step(batch, 0.01F);
      }
    }
    for (; sent > 0; --sent) program->receive(features, {});
    if (!options.embed) program->take_loss();  // waits
  };
  run(std::max(options.warmup, batches.warmup()));

  const double forward = flops_per_image(network);
  const auto round = [&] {
    const double waited = batches.waited();
    const double start = now_seconds();
    run(options.steps);
    const double seconds = now_seconds() - start;
    const Json line = {
        {"engine", engine->describe()},
        {"mode", options.embed ? "embed" : "train"},
        {"precision", options.precision},
        {"images_per_second", static_cast<double>(options.steps * options.batch) / seconds},
        {"seconds_a_step", seconds / static_cast<double>(options.steps)},
        {"waiting_for_data", (batches.waited() - waited) / seconds},
        // Backward counts as two forward passes: the gradients of inputs and of weights.
        {"flops_an_image", options.embed ? forward : 3 * forward},
        {"memory_bytes", program->memory_bytes()},
        {"compile_seconds", compile_seconds}};
    fmt::print("{}\n", line.dump());
    std::fflush(stdout);
  };
  if (options.paced) {
    fmt::print("ready\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) round();
  } else {
    round();
  }
  if (!options.profile) return;
  program->set_profiling(true);
  run(options.steps);
  Json profile = Json::object();
  for (const auto& [name, seconds] : program->profile()) {
    profile[name] = seconds / static_cast<double>(options.steps);
  }
  fmt::print("{}\n", Json{{"seconds_a_step_in", profile}}.dump());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time training steps, or embedding", "bench-step");
  Options options;
  app.add_option("dataset", options.dataset,
                 "A folder written by moe-ingest (default: random pixels in memory)");
  app.add_option("--depth", options.model.depth);
  app.add_option("--stem", options.stem)->check(CLI::IsMember({"imagenet", "small"}));
  app.add_option("--width", options.model.width);
  app.add_option("--image", options.model.image_size);
  app.add_option("--batch", options.batch);
  app.add_option("--tags", options.tags, "Outputs (default: the dataset's vocabulary)");
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  app.add_option("--device", options.device);
  app.add_option("--steps", options.steps);
  app.add_option("--warmup", options.warmup);
  app.add_flag("--embed", options.embed, "Time embedding instead of training");
  app.add_flag("--deterministic", options.deterministic);
  app.add_flag("--paced", options.paced,
               "Print \"ready\" when warm; then a round of steps, and its line, for each line on "
               "standard input");
  app.add_flag("--profile", options.profile,
               "At the end a line more: seconds a step by kind of work");
  CLI11_PARSE(app, argc, argv);
  try {
    options.model.stem = options.stem == "small" ? Stem::small : Stem::imagenet;
    measure(options);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench-step: {}\n", error.what());
    return 1;
  }
}
