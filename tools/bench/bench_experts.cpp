// Times training steps of one residual stage as a layer of experts (noisy gate on the whole map's mean,
// top-k, each expert a stage of two basic blocks on the rows it was given) beside the same stage alone,
// which costs as much an image as one expert, and prints a JSON line. The stage lies above a 1×1
// convolution and below pooling and a linear layer, which both sides have.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/threads.h"
#include "engine/engine.h"
#include "engine/network_facts.h"

using namespace hardmoe;

namespace {

struct Options {
  int64_t map = 16, channels = 64, batch = 128, tags = 100, experts = 8, chosen = 1, steps = 20;
  int64_t warmup = 20;  ///< an expert's primitives are made when a number of rows is first seen
  std::string precision = "fp32", device = "cpu";
  bool profile = false;
};

/// The stage, of experts or alone.
class Stage {
 public:
  Stage(Network& network, const Options& options, bool experts)
      : network_(network), options_(options), experts_(experts) {}

  int append(int x) {
    if (!experts_) return blocks(x);
    const auto count = static_cast<double>(options_.experts);
    const int mean = network_.append({"global_avg_pool", "gate.pool", {x}, {}});
    const auto scores = [&](const char* name) {
      return network_.append({"linear", name, {mean}, {{"channels", count}, {"bias", 0}}});
    };
    const int deviation =
        network_.append({"softplus", "", {scores("gate.noise")}, {{"shift", 0}, {"floor", 0.01}}});
    const int noisy = network_.append({"scaled_noise", "", {scores("gate.scores"), deviation}, {}});
    const auto chosen = static_cast<double>(options_.chosen);
    const int gates =
        network_.append({"top_k", "gate.top", {noisy}, {{"k", chosen}, {"softmax", 1}}});
    routing_ = network_.append({"route", "gate.route", {gates}, {{"chosen", chosen}}});
    const int given = network_.append({"dispatch", "", {x, routing_}, {{"experts", count}}});
    return network_.append({"combine", "", {blocks(given), gates, routing_}, {}});
  }

 private:
  int conv_norm(int x, const std::string& name) {
    std::map<std::string, double> shape = {{"channels", static_cast<double>(options_.channels)},
                                           {"kernel", 3},
                                           {"stride", 1},
                                           {"padding", 1}};
    if (!experts_) {
      const int made = network_.append({"conv", name + ".conv", {x}, shape});
      return network_.append({"batch_norm", name + ".norm", {made}, {}});
    }
    const std::map<std::string, double> of = {{"experts", static_cast<double>(options_.experts)}};
    shape.insert(of.begin(), of.end());
    const int made = network_.append({"expert_conv", name + ".conv", {x, routing_}, shape});
    return network_.append({"expert_norm", name + ".norm", {made, routing_}, of});
  }
  int relu(int x) { return network_.append({"relu", "", {x}, {}}); }
  int blocks(int x) {
    for (const std::string block : {"0", "1"}) {
      const int inner = relu(conv_norm(x, block + ".1"));
      x = relu(network_.append({"add", "", {conv_norm(inner, block + ".2"), x}, {}}));
    }
    return x;
  }

  Network& network_;
  const Options& options_;
  bool experts_;
  int routing_ = 0;
};

Network network_of(const Options& options, bool experts) {
  Network network;
  network.input = InputKind::map;
  network.extent = {options.map, options.map, options.channels};
  const int below = network.append({"conv",
                                    "below",
                                    {0},
                                    {{"channels", static_cast<double>(options.channels)},
                                     {"kernel", 1},
                                     {"stride", 1},
                                     {"padding", 0}}});
  const int made = Stage(network, options, experts).append(below);
  network.feature = network.append({"global_avg_pool", "", {made}, {}});
  network.logits = network.append(
      {"linear", "fc", {network.feature}, {{"channels", static_cast<double>(options.tags)}}});
  return network;
}

Batch random_batch(const Options& options, uint64_t stream) {
  Random random(1, RandomUse::test, stream);
  Batch batch;
  batch.size = options.batch;
  batch.input = Tensor(DType::f32, {options.batch, options.map, options.map, options.channels});
  for (float& value : batch.input.as<float>()) value = random.normal();
  for (int64_t row = 0; row < batch.size; ++row) {
    batch.tag_ids.push_back(
        static_cast<int32_t>(random.below(static_cast<uint64_t>(options.tags))));
    batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
  }
  return batch;
}

struct Measured {
  double seconds;  ///< a step
  int64_t memory_bytes;
  Json profile;  ///< seconds a step by kind of work
};

Measured measure(Engine& engine, const Options& options, bool experts) {
  CompileOptions compile;
  compile.batch = options.batch;
  compile.precision = options.precision == "bf16" ? Precision::bf16 : Precision::fp32;
  const Network network = network_of(options, experts);
  const auto program = engine.compile(network, compile);
  program->load_weights(initial_weights(network, 1), "initial weights");
  std::vector<Batch> batches;
  for (uint64_t i = 0; i < 4; ++i) batches.push_back(random_batch(options, i));
  // So slow that gates stay as even as they begin.
  const auto run = [&](int64_t steps) {
    for (int64_t i = 0; i < steps; ++i) {
      program->train_step(batches[static_cast<size_t>(i) % batches.size()], 1e-6F);
    }
    program->take_loss();  // waits
  };
  run(options.warmup);
  const double start = now_seconds();
  run(options.steps);
  const auto steps = static_cast<double>(options.steps);
  Measured measured = {(now_seconds() - start) / steps, program->memory_bytes(), Json::object()};
  if (!options.profile) return measured;
  program->set_profiling(true);
  run(options.steps);
  for (const auto& [name, seconds] : program->profile()) measured.profile[name] = seconds / steps;
  return measured;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time a stage of experts beside the stage alone", "bench-experts");
  Options options;
  app.add_option("--map", options.map, "Height and width of the stage's input");
  app.add_option("--channels", options.channels);
  app.add_option("--batch", options.batch);
  app.add_option("--experts", options.experts, "E");
  app.add_option("--chosen", options.chosen, "k");
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"fp32", "bf16"}));
  app.add_option("--device", options.device);
  app.add_option("--steps", options.steps);
  app.add_option("--warmup", options.warmup);
  app.add_flag("--profile", options.profile,
               "At the end a line more: seconds a step by kind of work");
  CLI11_PARSE(app, argc, argv);
  try {
    const auto engine = make_engine(options.device);
    const Measured alone = measure(*engine, options, /*experts=*/false);
    const Measured experts = measure(*engine, options, /*experts=*/true);
    const Json line = {{"engine", engine->describe()},
                       {"precision", options.precision},
                       {"images_per_second", static_cast<double>(options.batch) / experts.seconds},
                       {"seconds_a_step", experts.seconds},
                       {"stage_alone_seconds", alone.seconds},
                       {"ratio_to_chosen_stages",
                        experts.seconds / (alone.seconds * static_cast<double>(options.chosen))},
                       {"memory_bytes", experts.memory_bytes},
                       {"stage_alone_memory_bytes", alone.memory_bytes}};
    fmt::print("{}\n", line.dump());
    if (options.profile) {
      fmt::print("{}\n",
                 Json{{"seconds_a_step_in", experts.profile}, {"of_the_stage_alone", alone.profile}}
                     .dump());
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench-experts: {}\n", error.what());
    return 1;
  }
}
