#include "run/config.h"

namespace hardmoe {

void ExpertConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add_enum("start", start, {"base", "scratch"}, "weights an expert begins with");
}

void EvalConfig::describe(Fields& f) {
  f.add("split", split, "images to evaluate on");
  f.add("top_experts", top_experts, "experts asked an image, weighted by softmax(-d²/T)");
  f.add("temperature", temperature, "T; 0: fitted on part of the training images");
  f.add("use_prices", use_prices, "route as the fit did, by d² + price; false: by distance alone");
}

void RunConfig::describe(Fields& f) {
  f.add("sources", sources, "what moe-ingest reads; empty where `dataset` is given");
  f.add("ingest_options", ingest_options, "further options of moe-ingest");
  f.add("dataset", dataset, "an existing dataset");
  f.add("parallel", parallel, "experts trained at a time, each in a process of its own");
}

Config::Config() {
  expert.lr = base.lr / 2;  // continuing from the base
  decoder.lr = 0.5;
  decoder.epochs = 2;
  decoder.weight_decay = 0;
  decoder.nesterov = false;
  decoder.schedule = ScheduleKind::linear;
  decoder.warmup = 0;
}

void Config::describe(Fields& f) {
  f.add("seed", seed, "every random choice follows from it");
  f.add_section("model", model, "the CNN");
  f.add_section("base", base, "training the base");
  f.add_section("partition", partition, "dividing the images");
  f.add_section("expert", expert, "training the experts");
  f.add_section("decoder", decoder, "training the shared decoder");
  f.add_section("eval", eval, "evaluation");
  f.add_section("run", run, "moe-run");
}

}  // namespace hardmoe
