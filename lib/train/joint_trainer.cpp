#include "train/joint_trainer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/signals.h"
#include "tensor/saved_state.h"
#include "train/checkpoint.h"
#include "train/divergence.h"
#include "train/metrics_log.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace hardmoe {
namespace {

bool is_shared(const std::string& name) {
  return name.ends_with("fc.weight") || name.ends_with("fc.bias");
}

/// One network between its turns.
struct Resting {
  StateDict weights, moments;  ///< moments: Program::optimizer_state(); empty before the first turn
};

/// Where a joint training is.
struct JointPosition {
  int64_t turns = 0;  ///< done
  double loss_sum = 0, last_loss = 0, seconds = 0;
};

/// Gives `to` the shared tensors of `from`.
void share(const StateDict& from, StateDict& to) {
  for (const auto& [name, tensor] : from) {
    if (is_shared(name)) to.insert_or_assign(name, tensor);
  }
}

void save(const std::filesystem::path& folder, const std::vector<Resting>& networks,
          const JointPosition& at, const std::string& run) {
  SavedState state;
  for (size_t k = 0; k < networks.size(); ++k) {
    for (const auto& [name, tensor] : networks[k].weights) {
      state.tensors.emplace(fmt::format("{}.weights.{}", k, name), tensor);
    }
    for (const auto& [name, tensor] : networks[k].moments) {
      state.tensors.emplace(fmt::format("{}.optimizer.{}", k, name), tensor);
    }
  }
  state.metadata["position"] = Json{
      {"turns", at.turns},
      {"loss_sum", at.loss_sum},
      {"last_loss", at.last_loss},
      {"seconds", at.seconds}}.dump();
  save_state(checkpoint_file(folder), state, run);
}

/// Restores what save() saved; leaves everything as it is if there is nothing.
void restore(const std::filesystem::path& folder, std::vector<Resting>& networks, JointPosition& at,
             const std::string& run) {
  const auto file = checkpoint_file(folder);
  auto saved = load_state(file, run);
  if (!saved) return;
  const Json json = parse_json(saved->metadata["position"], file.string());
  at = {json_get<int64_t>(json, "turns", file.string()),
        json_get<double>(json, "loss_sum", file.string()),
        json_get<double>(json, "last_loss", file.string()),
        json_get<double>(json, "seconds", file.string())};
  for (size_t k = 0; k < networks.size(); ++k) {
    networks[k] = {};
    for (const auto& [kind, part] : {std::pair{".weights.", &networks[k].weights},
                                     std::pair{".optimizer.", &networks[k].moments}}) {
      const std::string prefix = std::to_string(k) + kind;
      for (const auto& [name, tensor] : saved->tensors) {
        if (name.starts_with(prefix)) part->emplace(name.substr(prefix.size()), tensor);
      }
    }
  }
  log_info("resuming after {} turns", at.turns);
}

/// Puts a network into the program, with the head and its moments as the last turn left them.
void take_place(Program& program, const Resting& network, const Resting* last) {
  StateDict weights = network.weights;
  if (last != nullptr) share(last->weights, weights);
  program.load_weights(weights, "a network between its turns");
  StateDict moments = network.moments.empty() ? program.optimizer_state() : network.moments;
  if (last != nullptr) share(last->moments, moments);
  program.load_optimizer_state(moments, "a network between its turns");
}

/// Trains the network in the program for a turn; returns the mean loss. `source` stands after
/// `steps_before` batches.
double take_turn(Program& program, BatchSource& source, int64_t steps_before, int turn_steps,
                 const std::function<double(int64_t)>& rate_of_step) {
  const int64_t per_epoch = source.batches_per_epoch();
  for (int64_t step = steps_before; step < steps_before + turn_steps; ++step) {
    const Batch* batch = source.next();
    if (batch == nullptr) {
      source.start(step / per_epoch);
      batch = source.next();
    }
    program.train_step(*batch, static_cast<float>(rate_of_step(step)));
  }
  return program.take_loss();
}

}  // namespace

void check_joint_config(const TrainConfig& config, int turn_steps, const std::string& section) {
  check_train_config(config, section.c_str());
  if (config.optimizer != OptimizerKind::sgd) {
    fail_usage("{}.optimizer: expected sgd, as networks that share a head have no common step",
               section);
  }
  if (config.ema > 0) {
    fail_usage("{}.ema: expected 0, found {}; averaged weights cannot be exchanged", section,
               config.ema);
  }
  if (turn_steps < 1) {
    fail_usage("{}.turn_steps: expected 1 or more, found {}", section, turn_steps);
  }
}

JointResult train_jointly(Engine& engine, const Network& network,
                          const std::vector<StateDict>& initial,
                          const std::vector<BatchSource*>& sources, const TrainConfig& config,
                          int turn_steps, const std::filesystem::path& folder,
                          const std::string& run) {
  const auto program = engine.compile(network, training_options(config));
  const auto count = static_cast<int64_t>(initial.size());
  std::vector<Resting> networks;
  for (const StateDict& weights : initial) networks.push_back({weights, {}});
  for (Resting& other : networks) share(networks.front().weights, other.weights);
  JointPosition at;
  restore(folder, networks, at, run);
  int64_t batches = 0;
  for (const BatchSource* source : sources) batches += source->batches_per_epoch();
  const double part = static_cast<double>(batches) / static_cast<double>(count);
  const int64_t rounds =
      std::max<int64_t>(1, std::llround(config.epochs * part / static_cast<double>(turn_steps)));
  const int64_t each = rounds * turn_steps;  // steps of one network in all
  const auto per_epoch = std::max<int64_t>(1, std::llround(part));
  const auto rate = [&](int64_t step) { return learning_rate(config, step, each, per_epoch); };

  MetricsLog log(folder, at.turns / count * turn_steps * count);
  Progress progress("training jointly", rounds * count, at.turns);
  const double seconds_before = at.seconds, start = now_seconds();
  double last_checkpoint = start;
  std::vector<bool> started(sources.size());
  while (at.turns < rounds * count) {
    const auto k = static_cast<size_t>(at.turns % count);
    const int64_t round = at.turns / count;
    const Resting* last =
        at.turns > 0 ? &networks[(k + networks.size() - 1) % networks.size()] : nullptr;
    take_place(*program, networks[k], last);
    if (!started[k]) {
      const int64_t done = round * turn_steps, in_epoch = sources[k]->batches_per_epoch();
      sources[k]->start(done / in_epoch, done % in_epoch);
      started[k] = true;
    }
    const double loss = take_turn(*program, *sources[k], round * turn_steps, turn_steps, rate);
    networks[k] = {program->weights(), program->optimizer_state()};
    ++at.turns;
    at.loss_sum += loss;
    at.seconds = seconds_before + now_seconds() - start;
    if (!std::isfinite(at.loss_sum)) {
      fail(
          "joint training diverged: the loss of network {} is not finite in round {}; lower lr "
          "(now {})",
          k, round, config.lr);
    }
    const double epoch = static_cast<double>((round + 1) * turn_steps) / part;
    if (at.turns % count == 0) {
      at.last_loss = at.loss_sum / static_cast<double>(count);
      at.loss_sum = 0;
      log.write({{"step", at.turns * turn_steps},
                 {"epoch", epoch},
                 {"loss", at.last_loss},
                 {"lr", rate((round + 1) * turn_steps - 1)},
                 {"seconds", at.seconds}});
    }
    progress.update(at.turns, fmt::format("loss {:.4f}", at.last_loss),
                    {{"epoch", epoch}, {"loss", at.last_loss > 0 ? at.last_loss : std::nan("")}});
    const bool more = at.turns < rounds * count, stop = interrupted();
    if (more && (stop || now_seconds() - last_checkpoint > 60 * config.checkpoint_minutes)) {
      log.sync();
      save(folder, networks, at, run);
      last_checkpoint = now_seconds();
    }
    if (more && stop) throw_if_interrupted();
  }
  log.sync();
  const double epochs = static_cast<double>(each) / part;
  require_learned({at.last_loss, at.last_loss, each, epochs}, training_options(config).losses,
                  network, config);
  JointResult result{{}, at.turns * turn_steps, at.last_loss, at.seconds};
  for (Resting& other : networks) {
    if (!are_finite(other.weights)) fail_diverged(config, each, epochs);
    share(networks.back().weights, other.weights);
    result.weights.push_back(std::move(other.weights));
  }
  return result;
}

}  // namespace hardmoe
