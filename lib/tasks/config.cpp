#include "tasks/config.h"

#include "train/schedule.h"

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
}

void DecoderConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add("split", split,
        "images it is trained on: 'train', or 'selection', which no expert was trained on");
}

void check_decoder_config(const DecoderConfig& config) {
  TrainConfig settings = config;
  if (settings.epochs == 0) settings.epochs = 1;
  check_train_config(settings, "decoder");
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
  f.add_list(
      "controls", [this] { return control_names(controls); },
      [this](const std::vector<std::string>& names) { controls = parse_controls(names); },
      "what the mixture is compared with: longer, wider, ensemble, base-and-longer, random, "
      "top-tag, "
      "steps; or all, or none");
  f.add("seeds", seeds,
        "repetitions of all but the dataset, with seed and the numbers after it; the table has "
        "means and standard errors");
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
  f.add_section("mixture", mixture, "the base's and the experts' answers as one");
  f.add_section("eval", eval, "evaluation");
  f.add_section("run", run, "moe-run");
}

}  // namespace hardmoe
