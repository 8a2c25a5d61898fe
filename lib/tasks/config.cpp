#include "tasks/config.h"

namespace hardmoe {

void BaseConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add("init", init,
        "weights to begin with: a folder of moe-train-base or moe-train-expert, or .safetensors of "
        "torchvision's or timm's ResNets; empty: fresh ones");
}

void ExpertConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add_enum("start", start, {"base", "scratch"}, "weights an expert begins with");
  f.add("distill", distill,
        "weight of a second loss, against the base's scores for the same views; 0 is off");
  f.add("distill_temperature", distill_temperature,
        "both networks' scores are divided by it in that loss");
  f.add("pull", pull,
        "strength of a pull of the weights toward the base's, as weight_decay's toward 0");
  f.add("slow", slow,
        "parameters that learn at slow_factor times lr, by name as for freeze: [conv1.*, bn1.*]");
  f.add("slow_factor", slow_factor, "for slow");
}

void check_nearness(const ExpertConfig& config) {
  if (!(config.distill >= 0)) {
    fail_usage("expert.distill: expected a weight of at least 0, found {}", config.distill);
  }
  if (!(config.distill_temperature > 0)) {
    fail_usage("expert.distill_temperature: expected more than 0, found {}",
               config.distill_temperature);
  }
  if (config.pull > 0 && config.start == ExpertStart::scratch) {
    fail_usage(
        "expert.pull: pulls toward the base's weights, and with expert.start: scratch an expert "
        "does not begin with them; set one of the two back");
  }
}

void EmbedConfig::describe(Fields& f) {
  add_inference_precision(f, precision);
  f.add("half", half, "store float16, not float32");
}

void RunConfig::describe(Fields& f) {
  f.add_moved("sources", "it is 'ingest.sources' now");
  f.add_moved("ingest_options",
              "each option of moe-ingest is a key of the section 'ingest:' now, '--val-fraction "
              "0.1' is ingest: {val_fraction: 0.1}; moe-ingest --help names them");
  f.add("dataset", dataset, "an existing dataset, in place of ingest.sources");
  f.add("embedding", embedding,
        "an external embedding to partition by: .npy files of the training images' rows; empty: "
        "the base's");
  f.add("features", features, "the rows of that embedding for the images of eval.split");
  f.add("controls", controls, "also train the base as long as base and expert together");
  f.add("parallel", parallel,
        "experts trained at a time, each in a process of its own; on each of gpus");
  f.add("gpus", gpus, "experts are spread over so many GPUs, from cuda:0; 0: all use device");
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
  f.add("device", device, "where to compute: cpu, cuda or cuda:N");
  f.add_section("ingest", ingest, "making the dataset");
  f.add_section("model", model, "the CNN");
  f.add_section("base", base, "training the base");
  f.add_section("embed", embed, "embedding images");
  f.add_section("partition", partition, "dividing the images");
  f.add_section("expert", expert, "training the experts");
  f.add_section("decoder", decoder, "training the shared decoder");
  f.add_section("eval", eval, "evaluation");
  f.add_section("run", run, "moe-run");
}

}  // namespace hardmoe
