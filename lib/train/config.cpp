#include "train/config.h"

namespace hardmoe {

void TrainConfig::describe(Fields& f) {
  f.add("epochs", epochs, "passes over the images");
  f.add("batch", batch, "images a step");
  f.add_enum("optimizer", optimizer, {"sgd", "adamw"}, "update rule");
  f.add("lr", lr, "peak learning rate");
  f.add("momentum", momentum, "SGD's momentum, AdamW's beta1");
  f.add("nesterov", nesterov, "Nesterov momentum, for sgd");
  f.add("beta2", beta2, "AdamW's beta2");
  f.add("weight_decay", weight_decay, "L2 penalty (sgd) or decoupled decay (adamw)");
  f.add_enum("schedule", schedule, {"cosine", "linear", "step", "constant"},
             "learning rate after warm-up");
  f.add("warmup", warmup, "share of the steps with rising learning rate");
  f.add("step_epochs", step_epochs, "epochs at which schedule: step multiplies by step_factor");
  f.add("step_factor", step_factor, "for schedule: step");
  f.add("label_smoothing", label_smoothing, "share of the target spread over all tags");
  f.add_enum("loss", loss, loss_names, "loss over tags");
  f.add_enum("sampling", sampling, {"natural", "square_root", "uniform"},
             "images with rare tags: as they come, or copied towards equal frequencies");
  f.add("ema", ema, "decay of averaged weights, e.g. 0.999; 0 is off");
  f.add_enum("precision", precision, {"fp32", "tf32", "bf16"}, "arithmetic of convolutions");
  f.add("deterministic", deterministic, "on a GPU: the same bytes from every run, at some cost");
  f.add("freeze", freeze,
        "parameters that stay as they are, by name, * for any characters: [conv1.*, bn1.*]; in "
        "YAML a text that begins with * takes quotes");
  f.add_section("augment", augment, "what training does to images");
  f.add("checkpoint_minutes", checkpoint_minutes, "minutes between checkpoints");
  f.add("log_every", log_every, "steps between log lines");
}

}  // namespace hardmoe
