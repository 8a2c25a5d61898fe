// The pieces of a training step that a single loss over all parameters of one process does not
// show: several losses, frozen parameters, gradients averaged over processes.
#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>

#include "engine/operator_cases.h"
#include "engine/reference_network.h"
#include "expect_error.h"
#include "nn/resnet.h"
#include "nn/teacher.h"

namespace hardmoe {
namespace {

void expect_same_tensor(const Tensor& a, const Tensor& b, const std::string& name, bool same) {
  ASSERT_EQ(a.shape(), b.shape()) << name;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()) == 0, same) << name;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double difference = 0;
  for (size_t i = 0; i < a.as<float>().size(); ++i) {
    difference =
        std::max(difference, std::abs(double{a.as<float>()[i]} - double{b.as<float>()[i]}));
  }
  return difference;
}

// ---- several losses ----

/// A trunk with a second head half way: value `early` has a score a tag, too.
struct TwoHeads {
  Network network;
  int early = 0;

  TwoHeads() {
    CaseBuilder build({5, 7, 3});
    const int x = build.relu(build.conv_norm(0, "below", 8, 3));
    early = build.linear(build.mean(x), "early", 5);
    network = build.finish("", 0, build.relu(build.conv_norm(x, "above", 8, 3))).network;
  }

  std::vector<LossSpec> losses() const {
    return {{LossKind::softmax, 0.125F, 1, -1, "late"},
            {LossKind::sigmoid, 0, 0.25F, early, "early"}};
  }
};

TEST(Losses, TheirWeightedSumIsWhatIsTrained) {
  const TwoHeads heads;
  const StateDict weights = case_weights(heads.network);
  const Batch batch = case_batch(heads.network, 4);
  const auto engine = engine_under_test();
  const auto trained = [&](std::vector<LossSpec> losses) {
    auto program = engine->compile(heads.network, {.batch = 4, .losses = std::move(losses)});
    program->load_weights(weights, "closed form");
    program->train_step(batch, 0);
    return program;
  };
  const auto both = trained(heads.losses());
  const auto late = trained({heads.losses()[0]}), early = trained({heads.losses()[1]});

  const auto values = reference_forward(heads.network, to_double(weights), batch, true);
  const auto expected = [&](LossKind kind, double smoothing, int value) {
    return reference_loss(kind, smoothing, values[static_cast<size_t>(value)], batch);
  };
  const auto losses = both->take_losses();
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_NEAR(losses[0], expected(LossKind::softmax, 0.125, heads.network.logits), 1e-5);
  EXPECT_NEAR(losses[1], expected(LossKind::sigmoid, 0, heads.early), 1e-5);
  EXPECT_EQ(both->take_losses(), (std::vector<double>{0, 0}));
  both->train_step(batch, 0);
  EXPECT_NEAR(both->take_loss(), losses[0] + 0.25 * losses[1], 1e-9);

  const auto sum = both->gradients(), first = late->gradients(), second = early->gradients();
  for (const auto& [name, gradient] : sum) {
    Tensor added = first.at(name);
    for (size_t i = 0; i < added.as<float>().size(); ++i) {
      added.as<float>()[i] += second.at(name).as<float>()[i];
    }
    EXPECT_LT(largest_difference(gradient, added), 2e-6) << name;
  }
}

// The loss is Σ w_i l_i / N, so its gradient is linear in the weights.
TEST(RowWeights, ScaleWhatARowAddsToLossAndGradient) {
  const TwoHeads heads;
  const StateDict weights = case_weights(heads.network);
  Batch batch = case_batch(heads.network, 4);
  const auto program =
      engine_under_test()->compile(heads.network, {.batch = 4, .losses = heads.losses()});
  program->load_weights(weights, "closed form");
  const auto gradients = [&](const std::vector<float>& factors) {
    program->load_weights(weights, "closed form");
    batch.weights = factors;
    program->train_step(batch, 0);
    return program->gradients();
  };
  const std::vector<float> factors = {0.5F, 2, 0, 1};
  const StateDict whole = gradients(factors);
  const auto values = reference_forward(heads.network, to_double(weights), batch, true);
  EXPECT_NEAR(program->take_losses()[0],
              reference_loss(LossKind::softmax, 0.125,
                             values[static_cast<size_t>(heads.network.logits)], batch),
              1e-5);
  StateDict sum;
  for (size_t i = 0; i < factors.size(); ++i) {
    std::vector<float> one(factors.size(), 0.0F);
    one[i] = 1;
    for (const auto& [name, gradient] : gradients(one)) {
      const auto added =
          sum.try_emplace(name, DType::f32, gradient.shape()).first->second.as<float>();
      for (size_t j = 0; j < added.size(); ++j) added[j] += factors[i] * gradient.as<float>()[j];
    }
  }
  for (const auto& [name, gradient] : whole) {
    EXPECT_LT(largest_difference(gradient, sum.at(name)), 2e-6) << name;
  }
  const StateDict ones = gradients({1, 1, 1, 1});
  for (const auto& [name, gradient] : gradients({})) {
    expect_same_tensor(gradient, ones.at(name), name, true);
  }
}

TEST(RowWeights, AreRefusedUnlessEachRowHasOne) {
  const TwoHeads heads;
  Batch batch = case_batch(heads.network, 4);
  const auto program =
      engine_under_test()->compile(heads.network, {.batch = 4, .losses = heads.losses()});
  program->load_weights(case_weights(heads.network), "closed form");
  for (const std::vector<float>& factors : {std::vector<float>{1, 1}, {1, 1, -1, 1}}) {
    batch.weights = factors;
    expect_error([&] { program->train_step(batch, 0); }, {"weights", "one a row", "0 or more"});
  }
}

TEST(Losses, RefusesAValueThatHoldsNoScores) {
  const TwoHeads heads;
  const auto engine = engine_under_test();
  LossSpec wrong = heads.losses()[1];
  wrong.value = heads.network.feature;
  expect_error([&] { engine->compile(heads.network, {.batch = 4, .losses = {wrong}}); },
               {"early", "score"});
}

// ---- frozen parameters ----

const Network& small_resnet() {
  static const Network network = resnet({18, Stem::small, 8, 8}, 5);
  return network;
}

TEST(GivenUpStep, LeavesAllAsItWas) {
  const auto engine = make_engine("cpu");
  CompileOptions options{.batch = 6, .frozen = {"conv1.*"}};
  options.optimizer.ema_decay = 0.9F;
  const auto make = [&] {
    auto program = engine->compile(small_resnet(), options);
    program->load_weights(case_weights(small_resnet()), "closed form");
    EXPECT_TRUE(program->train_step(case_batch(small_resnet(), 6, 0), 0.05F));
    return program;
  };
  const auto whole = make(), disturbed = make();
  int asked = 0;
  for (int last = 1;; last += 7) {  // given up before more and more of the step
    asked = 0;
    const auto give_up = [&] { return ++asked == last; };
    if (disturbed->train_step(case_batch(small_resnet(), 6, 1), 0.05F, give_up)) break;
    const StateDict weights = whole->weights();
    for (const auto& [name, tensor] : disturbed->weights()) {
      expect_same_tensor(tensor, weights.at(name), name, true);
    }
  }
  EXPECT_GT(asked, 50) << "of the last try, which was not given up";
  EXPECT_TRUE(whole->train_step(case_batch(small_resnet(), 6, 1), 0.05F));
  EXPECT_EQ(whole->take_losses(), disturbed->take_losses());
  const StateDict averages = whole->averaged_weights();
  for (const auto& [name, tensor] : disturbed->averaged_weights()) {
    expect_same_tensor(tensor, averages.at(name), name, true);
  }
}

TEST(FrozenParameters, StayAsTheyAreWhileOthersLearn) {
  const auto engine = engine_under_test();
  const auto is_frozen = [](const std::string& name) {
    return name.starts_with("conv1") || name.starts_with("bn1") || name.starts_with("layer1");
  };
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    OptimizerSpec optimizer{.kind = kind};
    optimizer.weight_decay = 0.01F;
    const auto program = engine->compile(
        small_resnet(),
        {.batch = 6, .optimizer = optimizer, .frozen = {"conv1.*", "bn1.*", "layer1.*"}});
    program->load_weights(case_weights(small_resnet()), "closed form");
    const StateDict before = program->weights();
    for (uint64_t i = 0; i < 3; ++i) program->train_step(case_batch(small_resnet(), 6, i), 0.05F);
    const StateDict after = program->weights();
    for (const auto& [name, tensor] : before) {
      expect_same_tensor(tensor, after.at(name), name, is_frozen(name));
    }
    for (const auto& [name, gradient] : program->gradients()) EXPECT_FALSE(is_frozen(name)) << name;
    for (const auto& [name, moment] : program->optimizer_state()) {
      EXPECT_EQ(name.find("layer1"), std::string::npos) << name;
    }
  }
}

TEST(FrozenParameters, ACheckpointContinuesWithTheSameBytes) {
  const auto engine = engine_under_test();
  CompileOptions options{.batch = 6, .deterministic = true, .frozen = {"*bn*", "layer2.*"}};
  options.optimizer.ema_decay = 0.9F;
  const auto train = [&](Program& program, uint64_t first, uint64_t last) {
    for (uint64_t i = first; i < last; ++i) {
      program.train_step(case_batch(small_resnet(), 6, i), 0.02F);
    }
  };
  const auto whole = engine->compile(small_resnet(), options);
  whole->load_weights(case_weights(small_resnet()), "closed form");
  train(*whole, 0, 2);
  const auto resumed = engine->compile(small_resnet(), options);
  resumed->load_weights(whole->weights(), "checkpoint");
  resumed->load_optimizer_state(whole->optimizer_state(), "checkpoint");
  train(*whole, 2, 4);
  train(*resumed, 2, 4);
  for (const auto& [name, tensor] : whole->averaged_weights()) {
    expect_same_tensor(tensor, resumed->averaged_weights().at(name), name, true);
  }
}

TEST(FrozenParameters, AFrozenPrefixCostsNoBackwardPass) {
  const auto engine = engine_under_test();
  const auto work_of = [&](std::vector<std::string> frozen) {
    const auto program = engine->compile(small_resnet(), {.batch = 6, .frozen = std::move(frozen)});
    program->load_weights(case_weights(small_resnet()), "closed form");
    program->set_profiling(true);
    program->train_step(case_batch(small_resnet(), 6), 0.01F);
    std::map<std::string, double> seconds;
    for (const auto& line : program->profile()) seconds[line.name] = line.seconds;
    return seconds;
  };
  EXPECT_GT(work_of({})["convolution backward data"], 0);
  const auto decoder_alone = work_of({"conv1.*", "bn1.*", "layer*"});
  for (const char* name : {"convolution backward data", "convolution backward weights",
                           "norm backward", "pooling backward"}) {
    EXPECT_FALSE(decoder_alone.contains(name)) << name;
  }
  EXPECT_TRUE(decoder_alone.contains("linear"));
}

// A batch norm whose weight and bias stay is a fixed affine map, in the middle of a network too:
// gradients of what is below it, and of residuals, against central differences.
TEST(FrozenParameters, GradientsPassThroughFrozenNorms) {
  std::vector<OperatorCase> cases = joined_cases();
  cases.push_back(norm_case(NormForm::plain, 10, {5, 7}, 2));
  cases.push_back(norm_case(NormForm::relu, 16, {5, 7}, 2));
  const auto engine = engine_under_test();
  for (const OperatorCase& c : cases) {
    SCOPED_TRACE(c.name);
    const StateDict stored = case_weights(c.network);
    ReferenceWeights weights = to_double(stored);
    const Batch batch = case_batch(c.network, c.batch);
    const auto loss = [&] {
      const auto values = reference_forward(c.network, weights, batch, true, /*frozen=*/true);
      return reference_loss(LossKind::sigmoid, 0, values[static_cast<size_t>(c.network.logits)],
                            batch);
    };
    std::vector<std::string> norms;
    for (const Op& op : c.network.ops) {
      if (op.type == "batch_norm") norms.push_back(op.name + ".*");
    }
    const auto program = engine->compile(
        c.network, {.batch = c.batch, .losses = {{LossKind::sigmoid}}, .frozen = norms});
    program->load_weights(stored, "closed form");
    program->train_step(batch, 0);
    EXPECT_NEAR(program->take_loss(), loss(), 1e-5);
    Random random(5, RandomUse::test);
    for (const auto& [name, gradient] : to_double(program->gradients())) {
      Doubles& parameter = weights.at(name);
      Doubles direction(parameter.size());
      double along = 0, squares = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = double{random.normal()} / std::sqrt(static_cast<double>(direction.size()));
        along += gradient[i] * direction[i];
        squares += gradient[i] * gradient[i];
      }
      constexpr double step = 1e-7;  // small, for ReLUs' kinks
      const Doubles before = parameter;
      for (size_t i = 0; i < direction.size(); ++i) parameter[i] = before[i] + step * direction[i];
      const double ahead = loss();
      for (size_t i = 0; i < direction.size(); ++i) parameter[i] = before[i] - step * direction[i];
      const double slope = (ahead - loss()) / (2 * step);
      parameter = before;
      const double typical = std::sqrt(squares / static_cast<double>(direction.size()));
      EXPECT_LE(std::abs(along - slope) / (typical + std::abs(slope) + 1e-4), 1e-3) << name;
    }
  }
}

// ---- a teacher ----

/// A student and another network beside it, which has norms of its own.
struct Taught {
  TaughtNetwork both;
  StateDict weights;
  Batch batch;

  Taught() {
    CaseBuilder teacher({5, 7, 3});
    const int x = teacher.relu(teacher.conv_norm(0, "below", 10, 3));
    both = with_teacher(head_case({5, 7}, 8, 5, 4).network, teacher.finish("", 0, x).network);
    weights = case_weights(both.network);
    batch = case_batch(both.network, 4);
  }
  LossSpec loss(LossKind kind) const { return {kind, 0, 0.5F, -1, "distill", both.teacher, 2}; }
  CompileOptions options(LossKind kind) const {
    return {.batch = 4, .losses = {{kind, 0.125F}, loss(kind)}, .frozen = {teacher_parameters}};
  }
};

/// Values of the network; the teacher's norms use their running statistics.
std::pair<Doubles, Doubles> scores_of(const Taught& taught, const ReferenceWeights& weights) {
  const auto value = [&](int number, bool frozen) {
    const Network& network = taught.both.network;
    return reference_forward(network, weights, taught.batch, true,
                             frozen)[static_cast<size_t>(number)];
  };
  return {value(taught.both.network.logits, false), value(taught.both.teacher, true)};
}

TEST(Teacher, GradientsEqualCentralDifferences) {
  const Taught taught;
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    ReferenceWeights weights = to_double(taught.weights);
    const auto program = engine_under_test()->compile(taught.both.network, taught.options(kind));
    program->load_weights(taught.weights, "closed form");
    program->train_step(taught.batch, 0);
    const auto losses_now = [&] {
      const auto [own, theirs] = scores_of(taught, weights);
      return std::pair{reference_loss(kind, 0.125, own, taught.batch),
                       reference_teacher_loss(kind, 2, own, theirs, 4)};
    };
    const auto found = program->take_losses();
    EXPECT_NEAR(found[0], losses_now().first, 1e-5);
    EXPECT_NEAR(found[1], losses_now().second, 1e-5);
    const auto sum = [&] {
      const auto [tags, teacher] = losses_now();
      return tags + 0.5 * teacher;
    };
    Random random(5, RandomUse::test);
    for (const auto& [name, gradient] : to_double(program->gradients())) {
      EXPECT_FALSE(name.starts_with("teacher.")) << name;
      Doubles& parameter = weights.at(name);
      Doubles direction(parameter.size());
      double along = 0, squares = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = double{random.normal()} / std::sqrt(static_cast<double>(direction.size()));
        along += gradient[i] * direction[i];
        squares += gradient[i] * gradient[i];
      }
      constexpr double step = 1e-6;
      const Doubles before = parameter;
      for (size_t i = 0; i < direction.size(); ++i) parameter[i] = before[i] + step * direction[i];
      const double ahead = sum();
      for (size_t i = 0; i < direction.size(); ++i) parameter[i] = before[i] - step * direction[i];
      const double slope = (ahead - sum()) / (2 * step);
      parameter = before;
      const double typical = std::sqrt(squares / static_cast<double>(direction.size()));
      EXPECT_LE(std::abs(along - slope) / (typical + std::abs(slope) + 1e-4), 1e-4) << name;
    }
  }
}

TEST(Teacher, StaysAsItIsWhileTheStudentComesNear) {
  const Taught taught;
  const auto program = engine_under_test()->compile(
      taught.both.network,
      {.batch = 4, .losses = {taught.loss(LossKind::softmax)}, .frozen = {teacher_parameters}});
  program->load_weights(taught.weights, "closed form");
  program->train_step(taught.batch, 0.02F);
  const double first = program->take_losses()[0];
  for (int i = 0; i < 30; ++i) program->train_step(taught.batch, 0.02F);
  program->take_losses();
  program->train_step(taught.batch, 0.02F);
  EXPECT_LT(program->take_losses()[0], 0.2 * first);
  for (const auto& [name, tensor] : program->weights()) {
    expect_same_tensor(tensor, taught.weights.at(name), name, name.starts_with("teacher."));
  }
}

// As the loss against tags, so that images from outside a part count as little in both.
TEST(Teacher, RowWeightsScaleWhatARowAdds) {
  Taught taught;
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    const auto program = engine_under_test()->compile(
        taught.both.network,
        {.batch = 4, .losses = {taught.loss(kind)}, .frozen = {teacher_parameters}});
    const auto trained = [&](const std::vector<float>& factors) {
      program->load_weights(taught.weights, "closed form");
      taught.batch.weights = factors;
      program->train_step(taught.batch, 0);
      return std::pair<StateDict, double>{program->gradients(), program->take_loss()};
    };
    const auto whole = trained({0.5F, 2, 0, 1});
    const auto some = trained({0.5F, 0, 0, 1}), others = trained({0, 2, 0, 0});
    EXPECT_NEAR(whole.second, some.second + others.second, 1e-6);
    EXPECT_GT(std::min(some.second, others.second), 1e-3);
    for (const auto& [name, gradient] : whole.first) {
      Tensor added = some.first.at(name).clone();
      for (size_t i = 0; i < added.as<float>().size(); ++i) {
        added.as<float>()[i] += others.first.at(name).as<float>()[i];
      }
      EXPECT_LT(largest_difference(gradient, added), 2e-6) << name;
    }
    const StateDict ones = trained({1, 1, 1, 1}).first;
    for (const auto& [name, gradient] : trained({}).first) {
      expect_same_tensor(gradient, ones.at(name), name, true);
    }
  }
}

TEST(Teacher, MustHaveAScoreATag) {
  const Taught taught;
  LossSpec wrong = taught.loss(LossKind::softmax);
  wrong.teacher = taught.both.network.feature;
  expect_error(
      [&] { engine_under_test()->compile(taught.both.network, {.batch = 4, .losses = {wrong}}); },
      {"distill", "score"});
}

// ---- near the first weights ----

TEST(Pull, IsTowardTheLoadedWeightsAfterACheckpointToo) {
  const auto engine = engine_under_test();
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    CompileOptions options{.batch = 6, .deterministic = true, .frozen = {"conv1.*"}};
    options.optimizer.kind = kind;
    options.optimizer.pull = 0.5F;
    const auto train = [&](Program& program, uint64_t first, uint64_t last) {
      for (uint64_t i = first; i < last; ++i) {
        program.train_step(case_batch(small_resnet(), 6, i), 0.01F);
      }
    };
    const auto started = [&](float pull) {
      options.optimizer.pull = pull;
      auto program = engine->compile(small_resnet(), options);
      program->load_weights(case_weights(small_resnet()), "closed form");
      train(*program, 0, 3);
      return program;
    };
    const auto whole = started(0.5F), free = started(0);
    const auto resumed = engine->compile(small_resnet(), [&] {
      options.optimizer.pull = 0.5F;
      return options;
    }());
    resumed->load_weights(whole->weights(), "checkpoint");
    resumed->load_optimizer_state(whole->optimizer_state(), "checkpoint");
    train(*whole, 3, 6);
    train(*resumed, 3, 6);
    train(*free, 3, 6);
    const auto distance = [&](const Program& program) {
      double squares = 0;
      const StateDict first = case_weights(small_resnet()), now = program.weights();
      for (const auto& spec : parameters_of(small_resnet())) {
        if (!spec.learned) continue;
        const auto a = first.at(spec.name).as<float>(), b = now.at(spec.name).as<float>();
        for (size_t i = 0; i < a.size(); ++i) squares += std::pow(double{a[i]} - double{b[i]}, 2);
      }
      return std::sqrt(squares);
    };
    EXPECT_LT(distance(*whole), distance(*free));
    for (const auto& [name, tensor] : whole->weights()) {
      expect_same_tensor(tensor, resumed->weights().at(name), name, true);
    }
  }
}

// A first step of SGD is the gradient's, and of AdamW its sign's, times the rate.
TEST(SlowParameters, LearnAtTheirShareOfTheRate) {
  const auto engine = engine_under_test();
  const auto is_slow = [](const std::string& name) {
    return name.starts_with("conv1") || name.starts_with("layer1");
  };
  const StateDict first = case_weights(small_resnet());
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    const auto moved = [&](std::vector<std::string> slow) {
      const auto program =
          engine->compile(small_resnet(), {.batch = 6,
                                           .optimizer = {.kind = kind, .weight_decay = 0.01F},
                                           .deterministic = true,
                                           .slow = std::move(slow),
                                           .slow_factor = 0.25F});
      program->load_weights(first, "closed form");
      program->train_step(case_batch(small_resnet(), 6), 0.1F);
      return program->weights();
    };
    const StateDict plain = moved({}), slowed = moved({"conv1.*", "layer1.*"});
    for (const auto& spec : parameters_of(small_resnet())) {
      const auto from = first.at(spec.name).as<float>();
      const auto fast = plain.at(spec.name).as<float>(), slow = slowed.at(spec.name).as<float>();
      const double share = spec.learned && is_slow(spec.name) ? 0.25 : 1;
      for (size_t i = 0; i < from.size(); ++i) {
        const double expected = share * (double{fast[i]} - double{from[i]});
        ASSERT_NEAR(double{slow[i]} - double{from[i]}, expected, 1e-6) << spec.name << " " << i;
      }
    }
  }
}

TEST(SlowParameters, RefusesAPatternThatMatchesNothing) {
  expect_error(
      [&] { engine_under_test()->compile(small_resnet(), {.batch = 6, .slow = {"layer9.*"}}); },
      {"slow", "layer9.*", "conv1.weight"}, ExitStatus::usage);
}

// ---- several processes ----

/// Processes that are threads of this one: each call waits until all have come.
class Threads {
 public:
  explicit Threads(int size) : size_(size), arrays_(static_cast<size_t>(size)), barrier_(size) {}

  class Member final : public Communicator {
   public:
    Member(Threads& all, int rank) : all_(all), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return all_.size_; }
    void all_reduce(float* values, int64_t count, DeviceQueue) override {
      all_.arrays_[static_cast<size_t>(rank_)] = values;
      all_.barrier_.arrive_and_wait();
      std::vector<float> sums(static_cast<size_t>(count), 0.0F);
      for (const float* array : all_.arrays_) {
        for (size_t i = 0; i < sums.size(); ++i) sums[i] += array[i];
      }
      all_.barrier_.arrive_and_wait();
      std::copy(sums.begin(), sums.end(), values);
    }
    void all_gather(float*, int64_t, DeviceQueue) override { FAIL() << "nobody gathers"; }
    void all_to_all(float*, int64_t, DeviceQueue) override { FAIL() << "nobody exchanges"; }

   private:
    Threads& all_;
    int rank_;
  };

 private:
  int size_;
  std::vector<float*> arrays_;
  std::barrier<> barrier_;
};

TEST(Processes, TwoWithHalfABatchEachTrainAsOneWithAll) {
  if (device_under_test() != "cpu") GTEST_SKIP() << "threads share the memory of the CPU only";
  const Network network = linear_case(16, 5, 8).network;  // no norm sees the other half
  const Batch whole = case_batch(network, 8);
  const auto half = [&](int64_t first) {
    Batch batch;
    batch.size = 4;
    batch.input = Tensor(DType::f32, {4, 16});
    std::copy_n(whole.input.as<float>().data() + first * 16, 4 * 16,
                batch.input.as<float>().data());
    for (int64_t i = first; i < first + 4; ++i) {
      const auto begin = whole.tag_ids.begin() + whole.tag_ptr[static_cast<size_t>(i)];
      const auto end = whole.tag_ids.begin() + whole.tag_ptr[static_cast<size_t>(i) + 1];
      batch.tag_ids.insert(batch.tag_ids.end(), begin, end);
      batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
    }
    return batch;
  };
  const auto trained = [&](const Batch& batch, std::shared_ptr<Communicator> communicator) {
    const auto engine = make_engine("cpu");
    const auto program =
        engine->compile(network, {.batch = batch.size, .communicator = std::move(communicator)});
    program->load_weights(case_weights(network), "closed form");
    for (int i = 0; i < 3; ++i) program->train_step(batch, 0.1F);
    return program->weights();
  };
  const StateDict alone = trained(whole, self_communicator());
  Threads threads(2);
  std::vector<StateDict> found(2);
  std::vector<std::thread> processes;
  for (int rank = 0; rank < 2; ++rank) {
    processes.emplace_back([&, rank] {
      found[static_cast<size_t>(rank)] =
          trained(half(4 * rank), std::make_shared<Threads::Member>(threads, rank));
    });
  }
  for (auto& process : processes) process.join();
  for (const auto& [name, tensor] : alone) {
    EXPECT_LT(largest_difference(tensor, found[0].at(name)), 1e-6) << name;
    expect_same_tensor(found[0].at(name), found[1].at(name), name, true);
  }
}

}  // namespace
}  // namespace hardmoe
