// Times whole training steps as moe-train-base takes them (images loaded and augmented in the
// background, forward, loss, backward, update) and prints a JSON line with the rate and where the
// time went.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.h"
#include "base/threads.h"
#include "data/loader.h"
#include "engine/engine.h"
#include "nn/resnet.h"

using namespace hardmoe;

int main(int argc, char** argv) {
  CLI::App app("Time training steps", "bench-step");
  std::string dataset_folder, precision = "fp32", stem = "imagenet", device = "cpu";
  ModelConfig model{18, Stem::imagenet, 64, 64};
  int64_t batch = 64, steps = 20, warmup = 5, tags = 0;
  app.add_option("dataset", dataset_folder, "A folder written by moe-ingest")->required();
  app.add_option("--depth", model.depth);
  app.add_option("--stem", stem)->check(CLI::IsMember({"imagenet", "small"}));
  app.add_option("--width", model.width);
  app.add_option("--image", model.image_size);
  app.add_option("--batch", batch);
  app.add_option("--tags", tags, "Outputs (default: the dataset's vocabulary)");
  app.add_option("--precision", precision)->check(CLI::IsMember({"fp32", "bf16"}));
  app.add_option("--device", device);
  app.add_option("--steps", steps);
  app.add_option("--warmup", warmup);
  bool profile = false;
  app.add_flag("--profile", profile, "Also print seconds by kind of work");
  CLI11_PARSE(app, argc, argv);
  try {
    model.stem = stem == "small" ? Stem::small : Stem::imagenet;
    const Dataset dataset = Dataset::open(dataset_folder);
    LoaderOptions loading;
    loading.batch = batch;
    loading.image_size = model.image_size;
    loading.augment.crop = Crop::pad;
    loading.threads = compute_threads();
    Loader loader(dataset.split("train"), {}, loading);
    const auto engine = make_engine(device);
    CompileOptions options;
    options.batch = batch;
    options.precision = precision == "bf16" ? Precision::bf16 : Precision::fp32;
    options.optimizer.weight_decay = 5e-4F;
    const Network network = resnet(model, std::max(tags, dataset.vocabulary().size()));
    const auto program = engine->compile(network, options);
    program->load_weights(initial_weights(network, 1), "initial weights");
    int64_t epoch = 0;
    loader.start(epoch);
    const auto run = [&](int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const Batch* next = loader.next();
        while (next == nullptr) {
          loader.start(++epoch);
          next = loader.next();
        }
        program->train_step(*next, 0.01F);
      }
      program->take_loss();
    };
    run(std::max(warmup, loader.batches_per_epoch()));  // one epoch fills the loader's cache
    program->set_profiling(profile);
    const double waited = loader.waited_seconds();
    const double start = now_seconds();
    run(steps);
    const double seconds = now_seconds() - start;
    Json line = {{"engine", engine->describe()},
                 {"precision", precision},
                 {"images_per_second", static_cast<double>(steps * batch) / seconds},
                 {"seconds_a_step", seconds / static_cast<double>(steps)},
                 {"waiting_for_data", (loader.waited_seconds() - waited) / seconds}};
    if (profile) {
      for (const auto& [name, spent] : program->profile()) line["profile"][name] = spent / seconds;
    }
    fmt::print("{}\n", line.dump());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench-step: {}\n", error.what());
    return 1;
  }
}
