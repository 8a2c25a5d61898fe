#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "engine/graph.h"
#include "engine/network_facts.h"
#include "train/checkpoint.h"
#include "train/metrics_log.h"
#include "train/schedule.h"

namespace hardmoe {
namespace {

[[noreturn]] void fail_diverged(const TrainConfig& config, int64_t step, double epoch) {
  fail(
      "training diverged: loss or weights are not finite at step {} (epoch {:.2f}); lower lr (now "
      "{}) or lengthen warmup (now {})",
      step, epoch, config.lr, config.warmup);
}

/// Returns the sum of the losses, each times its weight, of a network that scores all `tags` tags
/// equally (sigmoid: one half each). Against a teacher it is the most that this can be.
double loss_of_equal_scores(const std::vector<LossSpec>& losses, int64_t tags) {
  const auto count = static_cast<double>(tags);
  double sum = 0;
  for (const LossSpec& loss : losses) {
    const double one = loss.kind == LossKind::softmax ? std::log(count) : count * std::log(2.0);
    const double softened = loss.teacher < 0 ? 1 : std::pow(double{loss.temperature}, 2);
    sum += double{loss.weight} * softened * one;
  }
  return sum;
}

/// Fails if the losses, though finite, are those of a network that learned nothing. `last` is the
/// last step's, whose batch may be unusual; `mean` is over the last log interval, which may begin
/// with a fault that was recovered from. A fresh network's loss is about that of equal scores, but
/// a deep one's first steps can take it far from there and back.
void require_learned(const TrainConfig& config, const std::vector<LossSpec>& losses,
                     const Network& network, double mean, double last, int64_t step, double epoch) {
  constexpr int64_t first_steps = 20;
  const double equal = loss_of_equal_scores(losses, logits_size(network));
  const bool begins = network.input == InputKind::image && step < first_steps;
  if (std::min(mean, last) > (begins ? 10 * equal + 10 : 2 * equal + 1)) {
    fail(
        "training diverged: at step {} (epoch {:.2f}) the loss is {:.4g}, where equal scores for "
        "all tags have {:.3g}; lower lr (now {}) or lengthen warmup (now {})",
        step, epoch, last, equal, config.lr, config.warmup);
  }
  if (mean > 1.25 * equal + 0.25) {
    log_warning(
        "the final loss, {:.4g}, is above that of equal scores for all tags, {:.3g}: nothing was "
        "learned; lower lr (now {}) or train for more epochs (now {})",
        mean, equal, config.lr, config.epochs);
  }
}

/// Notes a judgment at `step`; returns whether the weights are the best so far.
bool keep_if_better(double loss, StateDict weights, int64_t step, BestWeights& best) {
  const bool better = best.judged_at == 0 || loss < best.loss;
  best.judged_at = step;
  ++best.worse;
  if (better) best = {step, step, loss, 0, std::move(weights)};
  return better;
}

void tell_early_end(const Position& at, int64_t per_epoch) {
  const auto epochs = [&](int64_t step) {
    return static_cast<double>(step) / static_cast<double>(per_epoch);
  };
  log_info(
      "ended after {:.4g} epochs: {} since the smallest loss on the selection split, {:.4g} after "
      "{:.4g} epochs, whose weights are the result",
      epochs(at.step), at.best.worse, at.best.loss, epochs(at.best.step));
}

/// Fails if a weight is not finite: the last update can overflow without a loss to show it.
bool are_finite(const StateDict& weights) {
  return std::all_of(weights.begin(), weights.end(), [](const auto& entry) {
    const auto values = entry.second.template as<float>();
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  });
}

}  // namespace

std::vector<std::string> training_files() {
  return {"checkpoint*.safetensors", "log.jsonl", "events.out.tfevents.*"};
}

CompileOptions training_options(const TrainConfig& config) {
  CompileOptions options;
  options.batch = config.batch;
  options.precision = config.precision;
  options.deterministic = config.deterministic;
  options.losses = {
      {config.loss, static_cast<float>(config.label_smoothing), /*weight=*/1, -1, "tags"}};
  options.frozen = config.freeze;
  options.slow = config.slow;
  options.slow_factor = static_cast<float>(config.slow_factor);
  options.optimizer.kind = config.optimizer;
  options.optimizer.momentum = static_cast<float>(config.momentum);
  options.optimizer.nesterov = config.nesterov;
  options.optimizer.beta2 = static_cast<float>(config.beta2);
  options.optimizer.weight_decay = static_cast<float>(config.weight_decay);
  options.optimizer.ema_decay = static_cast<float>(config.ema);
  options.optimizer.pull = static_cast<float>(config.pull);
  return options;
}

void check_freeze(const Network& network, const TrainConfig& config, const std::string& section) {
  if (config.freeze.empty() && config.slow.empty()) return;
  try {
    make_graph(network, training_options(config));
  } catch (const Error& error) {
    throw Error(section + "." + error.what(), error.status());
  }
}

TrainResult train(Engine& engine, const Network& network, const StateDict& initial,
                  BatchSource& source, const TrainConfig& config,
                  const std::filesystem::path& folder, const std::string& run,
                  const std::vector<LossSpec>& auxiliary, const EarlyStop& early) {
  CompileOptions options = training_options(config);
  options.losses.insert(options.losses.end(), auxiliary.begin(), auxiliary.end());
  const auto program = engine.compile(network, options);
  program->load_weights(initial, "initial weights");
  Position at;
  if (const auto saved = load_checkpoint(checkpoint_file(folder), *program, run)) {
    at = *saved;
    log_info("resuming at step {}", at.step);
  }
  const int64_t per_epoch = source.batches_per_epoch();
  const auto total =
      std::max<int64_t>(1, std::llround(config.epochs * static_cast<double>(per_epoch)));
  MetricsLog log(folder, at.step);
  Progress progress("training", total);
  const double seconds_before = at.seconds;
  const int64_t first_step = at.step;
  const double start = now_seconds();
  double last_checkpoint = start;

  if (at.step < total) source.start(at.step / per_epoch, at.step % per_epoch);
  int64_t unread = 0;  // steps whose loss is still in the program
  double loss_read = at.last_loss;
  at.each_loss_sum.resize(options.losses.size(), 0.0);
  const auto read_loss = [&] {
    if (unread == 0) return;
    const std::vector<double> losses = program->take_losses();
    loss_read = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      loss_read += double{options.losses[i].weight} * losses[i];
      at.each_loss_sum[i] += losses[i] * static_cast<double>(unread);
    }
    at.loss_sum += loss_read * static_cast<double>(unread);
    at.loss_steps += unread;
    unread = 0;
    if (!std::isfinite(at.loss_sum)) {
      fail_diverged(config, at.step, static_cast<double>(at.step) / static_cast<double>(per_epoch));
    }
  };
  const auto epoch_now = [&] {
    return static_cast<double>(at.step) / static_cast<double>(per_epoch);
  };
  const auto rate = [&] {  // images a second of this process
    return static_cast<double>((at.step - first_step) * config.batch) / (now_seconds() - start);
  };
  const auto report = [&] {
    read_loss();
    if (at.loss_steps == 0) return;
    at.last_loss = at.loss_sum / static_cast<double>(at.loss_steps);
    Json line = {{"step", at.step},
                 {"epoch", epoch_now()},
                 {"loss", at.last_loss},
                 {"lr", learning_rate(config, at.step - 1, total, per_epoch)},
                 {"images_per_second", rate()},
                 {"seconds", at.seconds}};
    if (options.losses.size() > 1) {
      for (size_t i = 0; i < options.losses.size(); ++i) {
        line["loss/" + options.losses[i].name] =
            at.each_loss_sum[i] / static_cast<double>(at.loss_steps);
      }
    }
    log.write(line);
    at.loss_sum = 0;
    std::fill(at.each_loss_sum.begin(), at.each_loss_sum.end(), 0.0);
    at.loss_steps = 0;
  };
  const auto save = [&] {
    read_loss();
    log.sync();
    save_checkpoint(checkpoint_file(folder), *program, at, run);
  };
  const auto weights_now = [&] {
    return config.ema > 0 ? program->averaged_weights() : program->weights();
  };
  const auto judge = [&] {  // after an epoch; again if a signal came meanwhile
    const bool due = at.step >= total || (at.step > 0 && at.step % per_epoch == 0);
    if (early.patience == 0 || !due || at.best.judged_at == at.step) return;
    StateDict weights = weights_now();
    double loss = 0;
    try {
      loss = early.loss(weights);
    } catch (const Error& error) {
      if (error.status() == ExitStatus::interrupted) save();
      throw;
    }
    log.write({{"step", at.step}, {"epoch", epoch_now()}, {"selection_loss", loss}});
    if (keep_if_better(loss, std::move(weights), at.step, at.best)) return;
    if (at.step < total && at.best.worse >= early.patience) tell_early_end(at, per_epoch);
  };
  const auto ended = [&] {
    return at.step >= total || (early.patience > 0 && at.best.worse >= early.patience);
  };
  judge();
  while (!ended()) {
    const Batch* batch = source.next();
    if (batch == nullptr) {
      source.start(at.step / per_epoch);
      continue;
    }
    if (at.step + 1 == total) read_loss();  // so that the last step's loss is read alone
    const double lr = learning_rate(config, at.step, total, per_epoch);
    program->train_step(*batch, static_cast<float>(lr));
    ++at.step;
    ++unread;
    at.seconds = seconds_before + now_seconds() - start;
    if (at.step % config.log_every == 0) report();  // before a signal can end the judgment
    judge();
    const double now = now_seconds();
    at.seconds = seconds_before + now - start;
    progress.update(at.step, fmt::format("loss {:.4f}  {:.0f} images/s", at.last_loss, rate()));
    const bool stop = interrupted();
    if (!ended() && (stop || now - last_checkpoint > 60 * config.checkpoint_minutes)) {
      save();
      last_checkpoint = now;
    }
    if (stop && !ended()) throw_if_interrupted();
  }
  report();
  log.sync();
  StateDict weights = early.patience > 0 ? std::move(at.best.weights) : weights_now();
  if (!are_finite(weights)) fail_diverged(config, at.step, epoch_now());
  require_learned(config, options.losses, network, at.last_loss, loss_read, at.step, epoch_now());
  return {std::move(weights),
          at.step,
          at.last_loss,
          at.seconds,
          at.seconds > 0 ? static_cast<double>(at.step * config.batch) / at.seconds : 0,
          at.best.step,
          at.best.loss};
}

}  // namespace hardmoe
