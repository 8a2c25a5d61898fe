// What engines refuse, and whether the sentence names what is wrong.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/operator_cases.h"
#include "expect_error.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

TEST(Devices, UnknownNamesAreRefused) {
  for (const std::string name :
       {"gpu", "", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999"}) {
    expect_error([&] { make_engine(name); }, {"device", "cpu", "cuda:N", "'" + name + "'"},
                 ExitStatus::usage);
  }
}

TEST(Devices, AnAbsentGpuIsNamed) {
  for (const std::string name : {"cuda", "cuda:7"}) {
    try {
      EXPECT_NE(make_engine(name), nullptr);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::usage);
      EXPECT_NE(std::string(error.what()).find(name == "cuda" ? "cuda:0" : "cuda:7"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST(Devices, TheCpuDescribesItself) {
  const auto engine = make_engine("cpu");
  EXPECT_NE(engine->describe().find("CPU"), std::string::npos);
  EXPECT_NE(engine->describe().find("oneDNN"), std::string::npos);
  EXPECT_TRUE(engine->supports(Precision::fp32));
}

// oneDNN reads the variable when it starts: the threadsafe style runs the body in a fresh process.
TEST(Devices, Bf16IsRefusedWithoutTheInstructions) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto compile_as_on_avx2 = [] {
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
    try {
      make_engine("cpu")->compile(linear_decoder(4, 3), {.precision = Precision::bf16});
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n", error.what());
      std::exit(static_cast<int>(error.status()));
    }
    std::exit(0);
  };
  EXPECT_EXIT(compile_as_on_avx2(), testing::ExitedWithCode(2), "bf16 needs .*AVX2.*use fp32");
}

class EngineErrors : public testing::Test {
 protected:
  EngineErrors() : engine(engine_under_test()), network(head_case({5, 7}, 8, 7, 4).network) {}

  std::unique_ptr<Program> compile(Mode mode = Mode::train) const {
    auto program = engine->compile(network, {.batch = 4, .mode = mode});
    program->load_weights(case_weights(network), "closed form");
    return program;
  }
  /// The step is refused, and the program goes on working.
  void expect_refused(const Batch& batch, const std::vector<std::string>& words) const {
    const auto program = compile();
    expect_error([&] { program->train_step(batch, 0); }, words);
    EXPECT_EQ(program->take_loss(), 0);
    program->train_step(case_batch(network, 4), 0);
    EXPECT_GT(program->take_loss(), 0);
  }

  std::unique_ptr<Engine> engine;
  Network network;
};

TEST_F(EngineErrors, ABatchOfAnotherSizeIsRefused) {
  expect_refused(case_batch(network, 3), {"4×5×7×3", "3×5×7×3"});
  Batch partial = case_batch(network, 4);
  partial.size = 3;
  expect_refused(partial, {"exactly 4", "3"});
  const auto program = compile(Mode::infer);
  partial.size = 0;
  expect_error([&] { program->infer(partial, {}, {}); }, {"1 to 4", "0"});
  partial.size = 5;
  expect_error([&] { program->infer(partial, {}, {}); }, {"1 to 4", "5"});
}

TEST_F(EngineErrors, ABatchOfAnotherShapeOrTypeIsRefused) {
  Batch batch = case_batch(network, 4);
  batch.input = Tensor(DType::u8, {4, 7, 5, 3});
  expect_refused(batch, {"4×5×7×3", "4×7×5×3"});
  batch.input = Tensor(DType::u8, {4, 5 * 7 * 3});
  expect_refused(batch, {"4×5×7×3", "4×105"});
  batch.input = Tensor(DType::f32, {4, 5, 7, 3});
  expect_refused(batch, {"uint8", "float32"});
}

TEST_F(EngineErrors, TagsOutOfRangeAreRefused) {
  for (const int32_t id : {7, -1}) {
    Batch batch = case_batch(network, 4);
    batch.tag_ids.back() = id;
    expect_refused(batch, {"tag " + std::to_string(id), "0 to 6"});
  }
}

TEST_F(EngineErrors, TagsThatDoNotFitTheRowsAreRefused) {
  Batch batch = case_batch(network, 4);
  batch.tag_ptr.pop_back();
  expect_refused(batch, {"4 rows"});
  batch = case_batch(network, 4);
  batch.tag_ids.pop_back();
  expect_refused(batch, {"tag"});
  batch = case_batch(network, 4);
  batch.tag_ptr[1] = 100;
  expect_refused(batch, {"tag"});
}

TEST_F(EngineErrors, WeightsThatDoNotFitAreNamed) {
  const auto program = compile();
  const auto expect_refused_weights = [&](const StateDict& weights,
                                          const std::vector<std::string>& words) {
    expect_error([&] { program->load_weights(weights, "some.safetensors"); }, words);
  };
  StateDict weights = case_weights(network);
  weights.erase("below.norm.running_var");
  expect_refused_weights(weights, {"some.safetensors", "below.norm.running_var"});
  weights = case_weights(network);
  weights.at("fc.weight") = Tensor(DType::f32, {8, 7});
  expect_refused_weights(weights, {"some.safetensors", "fc.weight", "7×8", "8×7"});
  weights.at("fc.weight") = Tensor(DType::i32, {7, 8});
  expect_refused_weights(weights, {"int32"});
  weights = case_weights(network);
  weights.emplace("stranger", Tensor(DType::i64, {1}));  // num_batches_tracked, say
  program->load_weights(weights, "some.safetensors");
}

TEST_F(EngineErrors, OptimiserStateThatDoesNotFitIsNamed) {
  OptimizerSpec adamw;
  adamw.kind = OptimizerKind::adamw;
  adamw.ema_decay = 0.5F;
  const auto program = engine->compile(network, {.batch = 4, .optimizer = adamw});
  program->load_weights(case_weights(network), "closed form");
  const auto missing = [&](const StateDict& state, const std::string& name) {
    expect_error([&] { program->load_optimizer_state(state, "some.safetensors"); },
                 {"some.safetensors", name});
  };
  missing(compile()->optimizer_state(), "second_moment.");  // of SGD
  StateDict state = program->optimizer_state();
  state.erase("step");
  missing(state, "step");
  state = program->optimizer_state();
  state.erase("average.below.norm.running_mean");
  missing(state, "average.below.norm.running_mean");
  state = program->optimizer_state();
  state.at("first_moment.fc.bias") = Tensor(DType::f32, {8});
  missing(state, "first_moment.fc.bias");
}

TEST_F(EngineErrors, CallsOfTheOtherModeAreRefused) {
  const auto training = compile(), inference = compile(Mode::infer);
  expect_error([&] { training->infer(case_batch(network, 4), {}, {}); }, {"training"});
  expect_error([&] { inference->train_step(case_batch(network, 4), 0); }, {"inference"});
  expect_error([&] { inference->gradients(); }, {"inference"});
  expect_error([&] { inference->optimizer_state(); }, {"inference"});
  expect_error([&] { inference->load_optimizer_state(training->optimizer_state(), "state"); },
               {"inference"});
}

TEST_F(EngineErrors, ResultsThatAreNotThereAreRefused) {
  const Network trunk = resnet({18, Stem::small, 8, 8}, 0);
  expect_error([&] { engine->compile(trunk, {.batch = 4}); }, {"without logits"});
  const auto program = engine->compile(trunk, {.batch = 4, .mode = Mode::infer});
  program->load_weights(case_weights(trunk), "closed form");
  std::vector<float> room(4 * 64);
  program->infer(case_batch(trunk, 4), room, {});
  expect_error([&] { program->infer(case_batch(trunk, 4), {}, room); }, {"no logits"});
  expect_error([&] { program->infer(case_batch(trunk, 4), std::span(room).first(255), {}); },
               {"features", "255", "256"});
}

TEST_F(EngineErrors, ABatchOfNothingIsAUsageError) {
  expect_error([&] { engine->compile(network, {.batch = 0}); }, {"batch", "0"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
