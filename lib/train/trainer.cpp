#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stage.h"
#include "engine/graph.h"
#include "engine/ops/route.h"
#include "nn/sparse.h"
#include "train/checkpoint.h"
#include "train/divergence.h"
#include "train/metrics_log.h"
#include "train/schedule.h"

namespace hardmoe {
namespace {

/// Notes a judgment at `step`; returns whether the weights are the best so far.
bool keep_if_better(double loss, StateDict weights, int64_t step, BestWeights& best) {
  const bool better = best.judged_at == 0 || loss < best.loss;
  best.judged_at = step;
  if (better) best = {step, step, loss, std::move(weights)};
  return better;
}

/// Returns 0 where nothing is judged.
int64_t steps_between_judgments(const Validation& validation, int64_t per_epoch) {
  if (!(validation.every > 0)) return 0;
  return std::max<int64_t>(1, std::llround(validation.every * static_cast<double>(per_epoch)));
}

void tell_early_end(const Position& at, int64_t per_epoch) {
  const auto epochs = [&](int64_t step) {
    return static_cast<double>(step) / static_cast<double>(per_epoch);
  };
  log_info(
      "ended after {:.4g} epochs: {:.4g} since the smallest loss on the selection split, {:.4g} "
      "after "
      "{:.4g} epochs, whose weights are the result",
      epochs(at.step), epochs(at.step - at.best.step), at.best.loss, epochs(at.best.step));
}

/// What a training is given.
struct Job {
  const Network& network;
  const std::vector<LossSpec>& losses;
  BatchSource& source;
  const TrainConfig& config;
  const Validation& validation;
  const std::filesystem::path& folder;
  const std::string& run;
};

/// A training from a position to its end.
class Training {
 public:
  Training(const Job& job, Program& program, Position at)
      : job_(job),
        program_(program),
        at_(std::move(at)),
        per_epoch_(job.source.batches_per_epoch()),
        total_(std::max<int64_t>(
            1, std::llround(job.config.epochs * static_cast<double>(per_epoch_)))),
        judged_every_(steps_between_judgments(job.validation, per_epoch_)),
        log_(job.folder, at_.step),
        progress_("training", total_, at_.step),
        seconds_before_(at_.seconds),
        first_step_(at_.step),
        start_(now_seconds()),
        loss_read_(at_.last_loss) {
    at_.each_loss_sum.resize(job.losses.size(), 0.0);
  }

  TrainResult run() {
    if (at_.step < total_) job_.source.start(at_.step / per_epoch_, at_.step % per_epoch_);
    double last_checkpoint = start_;
    judge();
    while (!ended()) {
      if (!take_step()) continue;
      // Before a signal can end the judgment.
      if (at_.step % job_.config.log_every == 0 || ends_epoch()) report();
      if (ends_epoch()) log_usage();
      judge();
      const double now = now_seconds();
      at_.seconds = seconds_before_ + now - start_;
      tell_progress();
      if (ended()) continue;
      const bool stop = interrupted();
      if (stop || now - last_checkpoint > 60 * job_.config.checkpoint_minutes) {
        save();
        last_checkpoint = now;
      }
      if (stop) throw_if_interrupted();
    }
    return result();
  }

 private:
  double epoch() const { return static_cast<double>(at_.step) / static_cast<double>(per_epoch_); }
  /// Returns the images a second of this process.
  double rate() const {
    return static_cast<double>((at_.step - first_step_) * job_.config.batch) /
           (now_seconds() - start_);
  }
  bool ends_epoch() const {
    return at_.step >= total_ || (at_.step > 0 && at_.step % per_epoch_ == 0);
  }
  bool ended() const {
    const int64_t patience = job_.validation.patience * per_epoch_;
    return at_.step >= total_ ||
           (patience > 0 && at_.best.judged_at == at_.step && at_.step - at_.best.step >= patience);
  }
  StateDict weights() const {
    return job_.config.ema > 0 ? program_.averaged_weights() : program_.weights();
  }

  /// Returns whether there was a batch; if not, the next epoch has begun.
  bool take_step() {
    const Batch* batch = job_.source.next();
    if (batch == nullptr) {
      job_.source.start(at_.step / per_epoch_);
      return false;
    }
    if (at_.step + 1 == total_) read_losses();  // so that the last step's loss is read alone
    const double lr = learning_rate(job_.config, at_.step, total_, per_epoch_);
    if (!program_.train_step(*batch, static_cast<float>(lr), interrupted)) {
      save();  // as it was before this step
      throw_if_interrupted();
    }
    ++at_.step;
    ++unread_;
    at_.seconds = seconds_before_ + now_seconds() - start_;
    return true;
  }

  /// Takes the losses of the steps since the last call from the program.
  void read_losses() {
    if (unread_ == 0) return;
    const std::vector<double> losses = program_.take_losses();
    loss_read_ = 0;
    for (size_t i = 0; i < losses.size(); ++i) {
      loss_read_ += double{job_.losses[i].weight} * losses[i];
      at_.each_loss_sum[i] += losses[i] * static_cast<double>(unread_);
    }
    at_.loss_sum += loss_read_ * static_cast<double>(unread_);
    at_.loss_steps += unread_;
    unread_ = 0;
    if (!std::isfinite(at_.loss_sum)) fail_diverged(job_.config, at_.step, epoch());
  }

  void tell_progress() {
    const bool reported = at_.last_loss > 0;  // before the first report there is no loss to tell
    const double loss = reported ? at_.last_loss : std::nan("");
    progress_.update(at_.step,
                     reported ? fmt::format("loss {:.4f}  {:.0f} images/s", loss, rate())
                              : fmt::format("{:.0f} images/s", rate()),
                     {{"epoch", epoch()}, {"loss", loss}, {"images_per_second", rate()}});
  }

  /// Logs the mean losses since the last report.
  void report() {
    read_losses();
    if (at_.loss_steps == 0) return;
    at_.last_loss = at_.loss_sum / static_cast<double>(at_.loss_steps);
    Json line = {{"step", at_.step},
                 {"epoch", epoch()},
                 {"loss", at_.last_loss},
                 {"lr", learning_rate(job_.config, at_.step - 1, total_, per_epoch_)},
                 {"images_per_second", rate()},
                 {"seconds", at_.seconds}};
    for (size_t i = 0; i < job_.losses.size() && job_.losses.size() > 1; ++i) {
      line["loss/" + job_.losses[i].name] =
          at_.each_loss_sum[i] / static_cast<double>(at_.loss_steps);
    }
    log_.write(line);
    at_.loss_sum = 0;
    std::fill(at_.each_loss_sum.begin(), at_.each_loss_sum.end(), 0.0);
    at_.loss_steps = 0;
  }

  void save() {
    read_losses();
    log_.sync();
    save_checkpoint(checkpoint_file(job_.folder), program_, at_, job_.run);
  }

  /// Logs how evenly the experts of each layer are used.
  void log_usage() {
    if (gates_.empty()) return;
    Json line = {{"step", at_.step}, {"epoch", epoch()}};
    const StateDict state = program_.weights();
    for (const GateStatistic& gate : gates_) {
      const auto sums = state.at(gate.usage).as<float>();
      const float sum = std::accumulate(sums.begin(), sums.end(), 0.0F);
      std::vector<float> shares(sums.begin(), sums.end());
      for (float& share : shares) share = sum > 0 ? share / sum : 0;
      line["usage/" + gate.layer] = shares;
      line["max_over_mean/" + gate.layer] =
          std::ranges::max(shares) * static_cast<float>(shares.size());
      if (!gate.drops) continue;
      const double weight = 1 - std::pow(1.0 - double{Route::usage_momentum}, at_.step);
      line["dropped/" + gate.layer] = std::max(0.0, 1 - double{sum} / weight);
    }
    log_.write(line);
  }

  /// Judges the weights where that is due, once.
  void judge() {
    const bool due =
        judged_every_ > 0 && at_.step > 0 && (at_.step >= total_ || at_.step % judged_every_ == 0);
    if (!due || at_.best.judged_at == at_.step) return;
    StateDict weights_now = weights();
    Judgment found;
    try {
      found = job_.validation.judge(weights_now);
    } catch (const Error& error) {
      if (error.status() == ExitStatus::interrupted) save();
      throw;
    }
    log_judgment(found);
    if (keep_if_better(found.loss, std::move(weights_now), at_.step, at_.best)) return;
    if (at_.step < total_ && ended()) tell_early_end(at_, per_epoch_);
  }

  void log_judgment(const Judgment& found) {
    Json line = {{"step", at_.step}, {"epoch", epoch()}, {"selection_loss", found.loss}};
    std::string told = fmt::format("epoch {:.4g}: selection loss {:.4f}", epoch(), found.loss);
    for (const auto& [name, value] : found.metrics) {
      line["selection/" + name] = value;
      told += fmt::format(", {} {:.4f}", name, value);
    }
    log_.write(line);
    log_info("{}", told);
  }

  TrainResult result() {
    report();
    log_.sync();
    TrainResult result;
    result.weights = weights();
    if (judged_every_ > 0) set_best(result);
    if (!are_finite(result.weights)) fail_diverged(job_.config, at_.step, epoch());
    require_learned({at_.last_loss, loss_read_, at_.step, epoch()}, job_.losses, job_.network,
                    job_.config);
    result.steps = at_.step;
    result.loss = at_.last_loss;
    result.seconds = at_.seconds;
    if (at_.seconds > 0) {
      result.images_per_second = static_cast<double>(at_.step * job_.config.batch) / at_.seconds;
    }
    return result;
  }

  /// Makes the best weights the result, or puts them beside the last ones.
  void set_best(TrainResult& result) {
    result.best_step = at_.best.step;
    result.selection_loss = at_.best.loss;
    if (at_.best.step == at_.step) return;  // the last ones are the best
    result.best = std::move(at_.best.weights);
    if (job_.validation.patience == 0) return;
    result.last = std::move(result.weights);
    result.weights = std::move(result.best);
    result.best = {};
  }

  Job job_;
  std::vector<GateStatistic> gates_ = gate_statistics(job_.network);
  Program& program_;
  Position at_;
  int64_t per_epoch_, total_, judged_every_;  // steps
  MetricsLog log_;
  Progress progress_;
  double seconds_before_;  // of earlier calls
  int64_t first_step_;     // of this call
  double start_;           // when it began
  double loss_read_;       // the mean that was read last
  int64_t unread_ = 0;     // steps whose losses are still in the program
};

}  // namespace

std::vector<std::string> training_files() {
  return {checkpoint_files, "log.jsonl", "events.out.tfevents.*"};
}

CompileOptions training_options(const TrainConfig& config, uint64_t seed) {
  CompileOptions options;
  options.seed = seed;
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
                  const std::vector<LossSpec>& auxiliary, const Validation& validation,
                  uint64_t seed) {
  CompileOptions options = training_options(config, seed);
  options.losses.insert(options.losses.end(), auxiliary.begin(), auxiliary.end());
  const auto program = engine.compile(network, options);
  program->load_weights(initial, "initial weights");
  Position at;
  if (const auto saved = load_checkpoint(checkpoint_file(folder), *program, run)) {
    at = *saved;
    log_info("resuming at step {}", at.step);
  }
  return Training({network, options.losses, source, config, validation, folder, run}, *program,
                  std::move(at))
      .run();
}

}  // namespace hardmoe
