#include "tasks/config.h"

#include "base/error.h"
#include "data/selection.h"
#include "nn/resnet.h"
#include "train/schedule.h"

namespace hardmoe {
namespace {

std::vector<std::string> with_all_and_none(std::vector<std::string> names) {
  names.insert(names.end(), {"all", "none"});
  return names;
}

void check_judging(const char* section, const JudgingConfig& config) {
  if (config.patience < 0) {
    fail_usage("{}.patience: expected a number of epochs, or 0, found {}", section,
               config.patience);
  }
  if (!(config.val_every >= 0 && config.val_every <= 1e6)) {
    fail_usage("{}.val_every: expected a number of epochs, or 0, found {}", section,
               config.val_every);
  }
}

}  // namespace

void check_base_config(const BaseConfig& config) {
  check_train_config(config, "base");
  check_judging("base", config.judging);
}

void check_sparse_config(const SparseTrainConfig& config) {
  check_train_config(config, "sparse");
  check_judging("sparse", config.judging);
}

void check_expert_config(const ExpertConfig& config) {
  check_train_config(config, "expert");
  check_judging("expert", config.judging);
  check_nearness(config);
  if (!(config.outside >= 0 && config.outside < 1)) {
    fail_usage("expert.outside: expected a share from 0 to below 1, found {}", config.outside);
  }
  if (!(config.outside_weight >= 0 && config.outside_weight <= 1)) {
    fail_usage("expert.outside_weight: expected 0 to 1, found {}", config.outside_weight);
  }
  if (config.overlap < 1) {
    fail_usage("expert.overlap: expected 1 or more experts an image, found {}", config.overlap);
  }
}

void JudgingConfig::describe(Fields& f) {
  f.add("val_every", val_every,
        "epochs between judgments on the split 'selection', where the dataset has it: its loss, "
        "LRAP, P@1 and R@10 in log.jsonl, and the weights of the smallest loss beside the last; 0: "
        "none");
  f.add(
      "patience", patience,
      "epochs without a smaller loss on the split 'selection' after which training ends, with the "
      "best weights so far as the result; 0: it runs to its end");
}

Json JudgingConfig::inputs() const {
  Json inputs = Json::object();
  if (patience > 0) inputs["patience"] = patience;
  if (patience > 0 && every() != 1) inputs["val_every"] = val_every;
  return inputs;
}

void BaseConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add("init", init,
        "weights to begin with: a folder of moe-train-base or moe-train-expert, or .safetensors of "
        "torchvision's or timm's ResNets; empty: fresh ones");
  judging.describe(f);
}

void SparseTrainConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add_section("layer", layer, "layers of experts, in the place of layers of the model");
  f.add("init", init, "weights to begin with: a folder of moe-train-sparse; empty: fresh ones");
  judging.describe(f);
}

void ExpertConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add_enum("start", start, {"base", "scratch"}, "weights an expert begins with");
  f.add_enum("epochs_of", epochs_of, {"part", "dataset"},
             "what epochs counts passes over; dataset: an expert takes as many steps as so many "
             "passes over all training images, its own part shown more often");
  f.add("outside", outside,
        "share of an epoch's images that come from outside the part, besides all of the part's");
  f.add_enum("outside_from", outside_from, {"all", "nearest"},
             "all: drawn at random from all others, anew each epoch; nearest: those whose squared "
             "distance to this expert's centroid plus its price, less those of their own, is "
             "smallest");
  f.add("outside_weight", outside_weight, "factor of the losses of images from outside, 0 to 1");
  f.add("overlap", overlap,
        "an expert trains on every image for which it is among so many nearest experts");
  f.add("lr_by_size", lr_by_size,
        "multiply lr by the square root of the part's images over images/experts, 0.5 to 2");
  judging.describe(f);
  f.add("init", init,
        "experts of an earlier partition: expert K begins with the weights in this folder's K; "
        "empty: see start");
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

void DecoderConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add("split", split,
        "images it is trained on: 'train', or 'selection', which no expert was trained on");
  judging.describe(f);
}

void check_decoder_config(const DecoderConfig& config) {
  TrainConfig settings = config;
  if (settings.epochs == 0) settings.epochs = 1;
  check_train_config(settings, "decoder");
  check_judging("decoder", config.judging);
  if (config.split == selection_split && config.judging.every() > 0) {
    fail_usage(
        "decoder.{0}: the decoder is trained on the split '{1}', which would judge it; set "
        "decoder.{0} to 0, or decoder.split to train",
        config.judging.patience > 0 ? "patience" : "val_every", selection_split);
  }
}

void check_nearness(const ExpertConfig& config) {
  if (!(config.distill >= 0)) {
    fail_usage("expert.distill: expected a weight of at least 0, found {}", config.distill);
  }
  if (!(config.distill_temperature > 0)) {
    fail_usage("expert.distill_temperature: expected more than 0, found {}",
               config.distill_temperature);
  }
  if (config.pull > 0 && !config.init.empty()) {
    fail_usage(
        "expert.pull: pulls toward the base's weights, and with expert.init an expert begins with "
        "an earlier expert's; set one of the two back");
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

void RouterConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add("prefix", prefix,
        "layers of the base, 1 to 3, that it begins with and keeps as they are; with experts that "
        "keep them, too (expert.freeze), they are computed once; 0: it is a network of its own");
  f.add("depth", depth, "the ResNet's: 18, 34 or 50; with a prefix the base's");
  f.add("width", width,
        "channels of a ResNet's first stage; 0: half of the base's, at least 8; with a prefix the "
        "most "
        "with which what is behind it takes 15% of the base's FLOPs");
  f.add("image_size", image_size,
        "pixels, height and width; 0: the most with which it takes 15% of the base's FLOPs");
  f.add("init", init, "weights to begin with: as base.init; empty: fresh ones");
}

void check_router_config(const RouterConfig& config) {
  check_train_config(config, "router");
  if (config.prefix < 0 || config.prefix > last_cut) {
    fail_usage("router.prefix: expected 0 to {} layers, found {}", last_cut, config.prefix);
  }
  if (config.prefix > 0 && (config.image_size != 0 || !config.init.empty())) {
    fail_usage("router.{}: with router.prefix the router begins with its base; leave it out",
               config.init.empty() ? "image_size" : "init");
  }
  if (config.sampling == Sampling::natural) return;
  fail_usage("router.sampling: it goes by tags, and a router learns experts; leave it natural");
}

void FinetuneConfig::describe(Fields& f) {
  TrainConfig::describe(f);
  f.add("turn_steps", turn_steps, "steps of one expert before the next one's turn");
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
      "steps; or all, or none",
      with_all_and_none(control_names(parse_controls({"all"}))));
  f.add_list(
      "levers", [this] { return lever_names(levers); },
      [this](const std::vector<std::string>& names) { levers = parse_levers(names); },
      "what is tried on the trained mixture, each a row: reroute, router, finetune; or all, or "
      "none",
      with_all_and_none(lever_names(parse_levers({"all"}))));
  f.add("seeds", seeds,
        "repetitions of all but the dataset, with seed and the numbers after it; the table has "
        "means and standard errors");
  f.add("parallel", parallel,
        "experts trained at a time, each in a process of its own; on each of gpus; with several "
        "seeds on processors any stages");
  f.add("keep_going", keep_going,
        "after a stage has failed, go on with those that do not need it, and tell all failures at "
        "the "
        "end");
  f.add("retries", retries,
        "how often a stage that failed is started again, after 1, 2, 4 … seconds; not one whose "
        "settings are wrong");
  f.add("gpus", gpus, "experts are spread over so many GPUs, from cuda:0; 0: all use device");
}

void SlurmConfig::describe(Fields& f) {
  f.add("partition", partition,
        "partition that jobs are submitted to; empty: the cluster's default");
  f.add("account", account, "account that jobs are charged to; empty: the cluster's default");
  f.add("time", time,
        "time limit of a job, such as 12:00:00; a stage that reaches it saves and is queued again; "
        "empty: the partition's default");
  f.add("memory", memory, "memory of a job, such as 16G; empty: the cluster's default");
  f.add("cpus", cpus, "processors of a job; 0: the cluster's default");
  f.add("gpus", gpus, "GPUs of a job");
  f.add("grace", grace, "seconds before the time limit at which a job is told to save");
  f.add("setup", setup, "lines of shell before the command: [module load cuda, …]");
  f.add("options", options, "further options of sbatch: [--constraint=a100, …]");
}

Config::Config() {
  expert.lr = base.lr / 2;  // continuing from the base
  decoder.lr = 0.5;
  decoder.epochs = 2;
  decoder.weight_decay = 0;
  decoder.nesterov = false;
  decoder.schedule = ScheduleKind::linear;
  decoder.warmup = 0;
  sparse.layer.kind = SparseKind::shazeer;
  finetune.epochs = 1;
  finetune.lr = base.lr / 10;
}

void Config::describe(Fields& f) {
  f.add("seed", seed, "every random choice follows from it");
  f.add("device", device, "where to compute: cpu, cuda or cuda:N");
  f.add_section("ingest", ingest, "making the dataset");
  f.add_section("model", model, "the CNN");
  f.add_section("base", base, "training the base");
  f.add_section("sparse", sparse, "training a network with layers of experts (moe-train-sparse)");
  f.add_section("embed", embed, "embedding images");
  f.add_section("partition", partition, "dividing the images");
  f.add_section("expert", expert, "training the experts");
  f.add_section("decoder", decoder, "training the shared decoder");
  f.add_section("mixture", mixture, "the base's and the experts' answers as one");
  f.add_section("router", router, "training a cheap router (moe-train-router)");
  f.add_section("finetune", finetune, "training experts and decoder jointly (moe-finetune)");
  f.add_section("eval", eval, "evaluation");
  f.add_section("run", run, "moe-run");
  f.add_section("slurm", slurm, "jobs of moe-run --launcher slurm");
}

}  // namespace hardmoe
