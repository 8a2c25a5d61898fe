#include "run/run_checks.h"

#include "base/device_name.h"
#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json.h"
#include "base/text.h"
#include "base/unfinished_file.h"
#include "data/dataset.h"
#include "data/selection.h"
#include "moe/embedding.h"
#include "moe/mixture_config.h"
#include "moe/reroute.h"
#include "nn/architecture.h"
#include "nn/resnet.h"
#include "run/launcher.h"
#include "run/pipeline.h"
#include "run/slurm_scripts.h"
#include "tasks/train_router.h"
#include "train/joint_trainer.h"
#include "train/schedule.h"
#include "train/trainer.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

bool tries(const Config& config, Lever lever) { return config.run.levers.contains(lever); }

/// Returns the first setting that needs the split 'selection'; "" if there is none. `routed`: of
/// those for which its images are given to experts.
std::string needs_selection(const Config& config, bool routed) {
  if (config.base.judging.patience > 0 && !routed) return "base.patience";
  if (config.expert.judging.patience > 0) return "expert.patience";
  if (config.decoder.judging.patience > 0) return "decoder.patience";
  if (config.decoder.split == selection_split) return "decoder.split";
  if (config.mixture.fits_share()) return "mixture.base_share";
  return tries(config, Lever::reroute) ? "reroute of run.levers" : "";
}

/// Throws Error(usage) if a setting needs a split 'selection' that the run's own dataset will not
/// have, or whose images cannot be routed.
void check_selection(const Config& config) {
  const std::string routed = needs_selection(config, true);
  if (!routed.empty() && !config.run.embedding.empty()) {
    fail_usage(
        "{}: does not go with run.embedding, by which the images of split 'selection' cannot be "
        "routed; leave one of the two out",
        routed);
  }
  const std::string any = needs_selection(config, false);
  if (any.empty() || !config.run.dataset.empty() || config.ingest.selection_fraction > 0) return;
  fail_usage("{}: needs the split '{}'; set ingest.selection_fraction, to 0.05 perhaps", any,
             selection_split);
}

void check_rerouting(const Config& config) {
  const RerouteConfig& settings = config.partition.reroute;
  check_reroute_config(settings);
  if (config.partition.experts < 2) {
    fail_usage(
        "run.levers: reroute needs at least 2 experts to choose from, partition.experts is {}; "
        "leave reroute out",
        config.partition.experts);
  }
  const int64_t least = held_out_needed(config.partition.experts);
  if (settings.images == 0 || settings.images >= least) return;
  fail_usage(
      "partition.reroute.images: {} experts are compared on at least {} held-out images, found {}; "
      "raise it, or set 0 for all there are",
      config.partition.experts, least, settings.images);
}

void check_router(const Config& config) {
  const RouterConfig& settings = config.router;
  const int experts = config.partition.experts;
  const bool random = config.partition.method == PartitionMethod::random;
  if (random || experts < 2) {
    fail_usage("run.levers: router has nothing to learn of {}; leave router out",
               random ? "a partition at random" : "one expert");
  }
  if (!config.eval.use_prices) {
    fail_usage(
        "run.levers: router learns the experts with prices, and eval.use_prices is false; set it "
        "to true, or leave router out");
  }
  check_router_config(settings);
  const ModelConfig model = router_network(settings, config.model, experts);
  check_freeze(network_of(model, experts), settings, "router");
  check_augment(settings.augment, model.image_size);
  if (!settings.init.empty()) read_earlier_weights(settings.init, model);
}

void check_finetuning(const Config& config, const Network& network) {
  const FinetuneConfig& settings = config.finetune;
  if (config.mixture.embedding != EmbeddingKind::expert) {
    fail_usage(
        "run.levers: finetune trains a decoder of the experts' features alone, and "
        "mixture.embedding is {}; set it to expert, or leave finetune out",
        embedding_kinds[static_cast<size_t>(config.mixture.embedding)]);
  }
  const bool kept = config.decoder.epochs == 0;  // the base's head
  const LossKind loss = kept ? config.base.loss : config.decoder.loss;
  if (settings.loss != loss) {
    fail_usage("finetune.loss: expected {}, which {}.loss is, found {}",
               loss_names[static_cast<size_t>(loss)], kept ? "base" : "decoder",
               loss_names[static_cast<size_t>(settings.loss)]);
  }
  check_joint_config(settings, settings.turn_steps, "finetune");
  check_freeze(network, settings, "finetune");
  check_augment(settings.augment, config.model.image_size);
}

/// Throws Error(usage) if something that is to be tried on the mixture is impossible.
void check_levers(const Config& config, const Network& network) {
  if (tries(config, Lever::reroute)) check_rerouting(config);
  if (tries(config, Lever::router)) check_router(config);
  if (tries(config, Lever::finetune)) check_finetuning(config, network);
}

/// Throws Error(usage) if the dataset at `data` has too few images for what is to be tried.
void check_levers_images(const Config& config, const std::string& data, const Json& splits) {
  const auto images_of = [&](const char* split) {
    return json_get<int64_t>(json_get<Json>(splits, split, data), "images", data);
  };
  const int64_t experts = config.partition.experts;
  if (tries(config, Lever::reroute) && images_of(selection_split) < held_out_needed(experts)) {
    fail_usage(
        "{}: has {} images in split '{}', and reroute of run.levers compares {} experts on at "
        "least {}; make a larger one with moe-ingest's --selection-fraction, or leave reroute out",
        data, images_of(selection_split), selection_split, experts, held_out_needed(experts));
  }
  if (!tries(config, Lever::finetune)) return;
  const int64_t part = images_of("train") / experts;  // the smallest has no more
  if (part >= config.finetune.batch) return;
  fail_usage(
      "finetune.batch: an expert has some {} images of {}, fewer than a batch of {}; lower it",
      part, data, config.finetune.batch);
}

/// Throws Error(usage) if settings of several sections do not go together.
void check_together(const Config& config) {
  check_share_is_fitted_elsewhere(config.mixture, config.eval.split);
  const bool mixes = config.mixture.base_share != 0 || config.expert.distill > 0;
  if (mixes && config.base.loss != config.expert.loss) {
    fail_usage(
        "{}: base.loss and expert.loss differ, and with them what scores mean; set both alike",
        config.expert.distill > 0 ? "expert.distill" : "mixture.base_share");
  }
  if (config.expert.overlap > config.partition.experts) {
    fail_usage("expert.overlap: expected 1 to {}, the number of experts, found {}",
               config.partition.experts, config.expert.overlap);
  }
}

/// Checks what would otherwise be found only when the stage's turn comes, perhaps days later.
void check_sections(const Config& config) {
  check_ingest_config(config.ingest);
  const Network network = network_of(config.model, 1);
  check_freeze(network, config.base, "base");
  check_freeze(network, config.expert, "expert");
  check_freeze(linear_decoder(1, 1), config.decoder, "decoder");
  if (!config.base.init.empty()) read_earlier_weights(config.base.init, config.model);
  check_base_config(config.base);
  check_expert_config(config.expert);
  check_selection(config);
  check_decoder_config(config.decoder);
  check_mixture_config(config.mixture);
  check_augment(config.base.augment, config.model.image_size);
  check_augment(config.expert.augment, config.model.image_size);
  check_partition_config(config.partition);
  check_eval_config(config.eval, config.partition.experts);
  check_levers(config, network);
  check_slurm_config(config.slurm);
  check_together(config);
  if (config.run.embedding.empty() != config.run.features.empty()) {
    fail_usage(
        "run.{}: needs run.{}, too: embedding has the training images' rows, features those of "
        "eval.split",
        config.run.features.empty() ? "embedding" : "features",
        config.run.features.empty() ? "features" : "embedding");
  }
}

}  // namespace

void check_settings(const Config& config) {
  if (config.ingest.sources.empty() == config.run.dataset.empty()) {
    fail_usage(
        "give either ingest.sources (images to make a dataset of) or run.dataset (a folder of "
        "moe-ingest)");
  }
  if (config.run.parallel < 1 || config.run.parallel > 1024) {
    fail_usage("run.parallel: expected 1 to 1024, found {}", config.run.parallel);
  }
  if (config.run.retries < 0 || config.run.retries > 1000) {
    fail_usage("run.retries: expected 0 to 1000, found {}", config.run.retries);
  }
  if (config.run.gpus < 0 || config.run.gpus > 1024) {
    fail_usage("run.gpus: expected 0 to 1024, found {}", config.run.gpus);
  }
  if (config.run.seeds < 1 || config.run.seeds > 1000) {
    fail_usage("run.seeds: expected 1 to 1000, found {}", config.run.seeds);
  }
  if (!parse_device_name(config.device) && config.run.gpus > 0) {
    fail_usage("run.gpus: {} GPUs are asked for, but device is cpu; use --device cuda",
               config.run.gpus);
  }
  check_sections(config);
}

void check_run_folder(const fs::path& out) {
  const bool stage = path_exists(out / "stage.json");  // has a config.yaml, too
  // A dry run leaves planned.yaml, and its commands may have been typed since.
  const bool run = path_exists(out / "config.yaml") || path_exists(out / "planned.yaml");
  if (!is_folder(out) || (run && !stage)) return;
  for (const FolderEntry& entry : list_folder(out)) {
    const std::string name = entry.name(), finished = finished_name(name);
    if (name == "logs" || name == ".lock" || name == "planned.yaml") continue;
    // Of a run that was killed when it wrote its first file.
    if (name != finished && (finished == "config.yaml" || finished == "planned.yaml")) continue;
    fail_usage("{}: holds '{}' and is no folder of a run; choose an empty one for --out",
               out.string(), name);
  }
}

void check_splits(const Config& config, const fs::path& out) {
  const fs::path data = dataset_folder(config, out), record = data / "dataset.json";
  if (!path_exists(record)) return;
  const auto splits = json_get<Json>(read_dataset_record(record), "splits", record.string());
  if (!splits.contains(config.eval.split)) {
    fail_usage(
        "{}: has no split '{}' to evaluate on; make one with moe-ingest's --val-fraction or "
        "--val-source, or name another as eval.split",
        data.string(), config.eval.split);
  }
  const std::string setting = needs_selection(config, false);
  if (!setting.empty() && !splits.contains(selection_split)) {
    fail_without_selection(setting, data.string());
  }
  check_levers_images(config, data.string(), splits);
}

void check_external_embedding(const Config& config, const fs::path& out) {
  if (config.run.embedding.empty()) return;
  const std::vector<fs::path> paths(config.run.embedding.begin(), config.run.embedding.end());
  const EmbeddingInput input = find_embedding(paths);
  const Embedding embedding(input.files);
  if (input.identity.contains("model")) {
    fail_usage("run.embedding: {} was made by moe-embed; leave it out, and the run makes its own",
               config.run.embedding[0]);
  }
  const Embedding features(find_external_features(config.run.features).files);
  if (features.cols() != embedding.cols()) {
    fail_usage("run.features: rows of {} values, run.embedding's have {}; take one model for both",
               features.cols(), embedding.cols());
  }
  const fs::path data = dataset_folder(config, out);
  if (!path_exists(data / "dataset.json")) return;
  const Dataset dataset = Dataset::open(data);
  const auto require = [&](const char* key, const Embedding& rows, const std::string& split) {
    const int64_t images = dataset.split(split).size();
    if (rows.rows() == images) return;
    fail_usage(
        "run.{}: {} rows, split '{}' of {} has {} images; it takes one row an image, in the order "
        "of {}",
        key, rows.rows(), split, data.string(), images, (data / split / "keys.txt").string());
  };
  require("embedding", embedding, "train");
  require("features", features, config.eval.split);
}

void check_devices(const std::string& device, int gpus, const fs::path& programs,
                   const fs::path& log) {
  std::vector<std::string> needed;
  if (device != "cpu") needed.push_back(device);
  if (gpus > 0) needed.push_back(fmt::format("cuda:{}", gpus - 1));
  for (const auto& name : needed) {
    const std::vector<std::string> command = {programs / "moe-device", "--device", name};
    run_process({"looking for " + name, command, log});
  }
}

}  // namespace hardmoe
