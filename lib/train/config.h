// The settings of a training run, as in a configuration's base:, expert: and decoder: sections.
// Names are the field's; the defaults suit a few tens of thousands of small images.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "data/resample.h"
#include "engine/spec.h"
#include "image/augment.h"

namespace hardmoe {

/// The names, in configurations and model.yaml, of the losses against tags, LossKind's first ones: what
/// a model can learn by. Losses of gates only stand beside one of them.
inline const std::vector<std::string> loss_names = {"softmax", "sigmoid"};

/// How the learning rate changes after warmup.
enum class ScheduleKind { cosine, linear, step, constant };

/// The settings of a run.
struct TrainConfig {
  double epochs = 10;  ///< passes over the images, fractions allowed
  int batch = 128;     ///< images a step
  OptimizerKind optimizer = OptimizerKind::sgd;
  double lr = 0.1;  ///< peak learning rate, for this batch size
  double momentum = 0.9;
  bool nesterov = true;
  double beta2 = 0.999;  ///< AdamW's second moment (momentum is its first)
  double weight_decay = 5e-4;
  ScheduleKind schedule = ScheduleKind::cosine;
  double warmup = 0.1;              ///< share of the steps during which the learning rate rises
  std::vector<double> step_epochs;  ///< for schedule: step
  double step_factor = 0.1;
  double label_smoothing = 0;
  LossKind loss = LossKind::softmax;
  Sampling sampling = Sampling::natural;  ///< how often images with rare tags are shown
  double ema = 0;                         ///< decay of averaged weights, e.g. 0.999; 0: off
  Precision precision = Precision::fp32;
  bool deterministic = false;  ///< GPUs: only algorithms that give the same bytes every time
  /// Names of parameters that stay as they are, * for any characters (CompileOptions::frozen).
  std::vector<std::string> freeze;
  // An expert's only, so described by its section (tasks/config.h):
  std::vector<std::string> slow;  ///< as freeze: parameters that learn at slow_factor times lr
  double slow_factor = 0.1;
  double pull = 0;  ///< λ toward the weights that training began with (OptimizerSpec::pull)
  AugmentConfig augment;
  double checkpoint_minutes = 5;
  int log_every = 50;  ///< steps between lines of log.jsonl

  void describe(Fields& f);
};

}  // namespace hardmoe
