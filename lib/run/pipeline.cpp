#include "run/pipeline.h"

#include <algorithm>

#include "base/device_name.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "moe/embedding.h"
#include "train/schedule.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

std::string dataset_folder(const Config& config, const fs::path& out) {
  return config.run.sources.empty() ? config.run.dataset : (out / "dataset").string();
}

/// What would otherwise be found only when the stage's turn comes, perhaps days later.
void check_config(const Config& config) {
  resnet(config.model, 1);
  if (!config.base.init.empty()) read_earlier_weights(config.base.init, config.model);
  check_train_config(config.base, "base");
  check_train_config(config.expert, "expert");
  check_train_config(config.decoder, "decoder");
  check_augment(config.base.augment, config.model.image_size);
  check_augment(config.expert.augment, config.model.image_size);
  check_partition_config(config.partition);
  check_eval_config(config.eval, config.partition.experts);
  if (config.run.embedding.empty() != config.run.features.empty()) {
    fail_usage(
        "run.{}: needs run.{}, too: embedding has the training images' rows, features those of "
        "eval.split",
        config.run.features.empty() ? "embedding" : "features",
        config.run.features.empty() ? "features" : "embedding");
  }
}

struct Row {
  const char* name;
  const char* evaluation;  ///< folder under eval/
};
constexpr Row rows[] = {{"base", "base"},
                        {"base, trained as long", "longer"},
                        {"mixture, local decoders", "local"},
                        {"mixture, shared decoder", "shared"}};

}  // namespace

std::vector<PipelineStep> plan_pipeline(const Config& config, const fs::path& out,
                                        const fs::path& programs, const fs::path& frozen,
                                        bool force) {
  if (config.run.sources.empty() == config.run.dataset.empty()) {
    fail_usage("run: give either sources (images to ingest) or dataset (a folder of moe-ingest)");
  }
  if (config.run.parallel < 1 || config.run.parallel > 1024) {
    fail_usage("run.parallel: expected 1 to 1024, found {}", config.run.parallel);
  }
  if (config.run.gpus < 0 || config.run.gpus > 1024) {
    fail_usage("run.gpus: expected 0 to 1024, found {}", config.run.gpus);
  }
  if (!parse_device_name(config.device) && config.run.gpus > 0) {
    fail_usage("run.gpus: {} GPUs are asked for, but device is cpu; use --device cuda",
               config.run.gpus);
  }
  check_config(config);
  std::vector<PipelineStep> steps;
  const std::string data = dataset_folder(config, out);
  const std::string base = out / "base", embedding = out / "embedding";
  const std::string partition = out / "partition", experts = out / "experts";
  const std::string longer = out / "longer", decoder = out / "decoder";

  const auto command = [&](const std::string& name, const std::string& program,
                           std::vector<std::string> arguments, const std::string& device) {
    arguments.insert(arguments.begin(), (programs / program).string());
    for (const std::string& word : {std::string("--config"), frozen.string()})
      arguments.push_back(word);
    if (device != "cpu") {
      arguments.push_back("--device");
      arguments.push_back(device);
    }
    if (force) arguments.push_back("--force");
    std::string file = name;
    for (char& c : file) c = c == ' ' ? '-' : c;
    return ProcessSpec{name, std::move(arguments), out / "logs" / (file + ".txt")};
  };
  const auto with_threads = [](ProcessSpec process, int threads) {
    if (threads != available_processors()) {
      process.arguments.insert(process.arguments.end(), {"--threads", std::to_string(threads)});
    }
    return process;
  };
  const auto alone = [&](ProcessSpec process) {
    steps.push_back({{with_threads(std::move(process), compute_threads())}, 1});
  };

  if (!config.run.sources.empty()) {
    std::vector<std::string> arguments = config.run.sources;
    arguments.insert(arguments.end(), {"--out", data});
    arguments.insert(arguments.end(), config.run.ingest_options.begin(),
                     config.run.ingest_options.end());
    alone(command("ingest", "moe-ingest", arguments, "cpu"));
  }
  alone(command("base", "moe-train-base", {data, "--out", base}, config.device));
  std::vector<std::string> partition_arguments = config.run.embedding;
  if (partition_arguments.empty()) {
    alone(command("embedding", "moe-embed", {data, "--model", base, "--out", embedding},
                  config.device));
    partition_arguments = {embedding};
  }
  partition_arguments.insert(partition_arguments.end(), {"--out", partition});
  if (config.partition.method == PartitionMethod::top_tag) {
    partition_arguments.insert(partition_arguments.end(), {"--data", data});
  }
  alone(command("partition", "moe-partition", partition_arguments, config.device));

  PipelineStep training;
  const int slots = config.run.parallel * std::max(config.run.gpus, 1);
  training.parallel = std::min(slots, config.partition.experts);
  const int threads = std::max(1, compute_threads() / training.parallel);
  for (int k = 0; k < config.partition.experts; ++k) {
    const std::string number = std::to_string(k);
    const int gpus = config.run.gpus;
    ProcessSpec process = command("expert " + number, "moe-train-expert",
                                  {data, "--base", base, "--partition", partition, "--expert",
                                   number, "--out", out / "experts" / number},
                                  gpus > 0 ? fmt::format("cuda:{}", k % gpus) : config.device);
    if (gpus > 0) process.lane = k % slots;
    training.processes.push_back(with_threads(std::move(process), threads));
  }
  steps.push_back(std::move(training));
  if (config.run.controls) {
    alone(command("longer", "moe-train-expert",
                  {data, "--base", base, "--expert", "all", "--out", longer}, config.device));
  }
  const std::vector<std::string> mixture = {"--base",  base,        "--partition",
                                            partition, "--experts", experts};
  std::vector<std::string> arguments = {data, "--out", decoder};
  arguments.insert(arguments.end(), mixture.begin(), mixture.end());
  alone(command("decoder", "moe-train-decoder", arguments, config.device));

  const auto evaluate = [&](const std::string& name, std::vector<std::string> what) {
    what.insert(what.begin(), {data, "--out", out / "eval" / name});
    alone(command("evaluation " + name, "moe-eval", std::move(what), config.device));
  };
  evaluate("base", {"--model", base});
  if (config.run.controls) evaluate("longer", {"--model", longer});
  std::vector<std::string> routed = mixture;
  if (!config.run.features.empty()) routed.emplace_back("--features");
  routed.insert(routed.end(), config.run.features.begin(), config.run.features.end());
  evaluate("local", routed);
  std::vector<std::string> shared = routed;
  shared.insert(shared.end(), {"--decoder", decoder});
  evaluate("shared", shared);
  return steps;
}

void check_run_folder(const fs::path& out) {
  const bool stage = fs::exists(out / "stage.json");  // has a config.yaml, too
  if (!fs::is_directory(out) || (fs::exists(out / "config.yaml") && !stage)) return;
  for (const auto& entry : fs::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    if (name == "logs" || name == ".lock" || name == "planned.yaml") continue;
    fail_usage("{}: holds '{}' and is no folder of a run; choose an empty one for --out",
               out.string(), name);
  }
}

void check_evaluation_split(const Config& config, const fs::path& out) {
  const fs::path data = dataset_folder(config, out), record = data / "dataset.json";
  if (!fs::exists(record)) return;
  const auto splits = json_get<Json>(read_dataset_record(record), "splits", record.string());
  if (splits.contains(config.eval.split)) return;
  fail_usage(
      "{}: has no split '{}' to evaluate on; make one with moe-ingest's --val-fraction or "
      "--val-source, or name another as eval.split",
      data.string(), config.eval.split);
}

void check_own_embedding(const Config& config, const fs::path& out) {
  if (config.run.embedding.empty()) return;
  const std::vector<fs::path> paths(config.run.embedding.begin(), config.run.embedding.end());
  const EmbeddingInput input = find_embedding(paths);
  const Embedding embedding(input.files);
  if (input.identity.contains("model")) {
    fail_usage("run.embedding: {} was made by moe-embed; leave it out, and the run makes its own",
               config.run.embedding[0]);
  }
  const Embedding features(find_own_features(config.run.features).files);
  if (features.cols() != embedding.cols()) {
    fail_usage("run.features: rows of {} values, run.embedding's have {}; take one model for both",
               features.cols(), embedding.cols());
  }
  const fs::path data = dataset_folder(config, out);
  if (!fs::exists(data / "dataset.json")) return;
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

void check_devices(const Config& config, const fs::path& programs, const fs::path& log) {
  std::vector<std::string> needed;
  if (config.device != "cpu") needed.push_back(config.device);
  if (config.run.gpus > 0) {
    const int used = std::min(config.run.gpus, config.partition.experts);
    needed.push_back(fmt::format("cuda:{}", used - 1));
  }
  for (const auto& device : needed) {
    const std::vector<std::string> command = {programs / "moe-device", "--device", device};
    run_processes({{"looking for " + device, command, log}}, 1, [](const auto&, const auto&) {});
  }
}

Json pipeline_summary(const Config& config, const fs::path& out) {
  const auto seconds = [&](const fs::path& folder) {
    // A stage counts from its last resumption, training over all of them.
    const Json record = read_stage_record(folder / "stage.json");
    const double whole = json_get<double>(record, "seconds", folder.string());
    return std::max(whole, record.at("results").value("seconds", 0.0));
  };
  const double base = seconds(out / "base");
  double mixture = base + seconds(out / "partition");
  if (config.run.embedding.empty()) mixture += seconds(out / "embedding");
  for (int k = 0; k < config.partition.experts; ++k) {
    mixture += seconds(out / "experts" / std::to_string(k));
  }
  Json summary = Json::array();
  for (const auto& [name, evaluation] : rows) {
    const fs::path folder = out / "eval" / evaluation;
    if (std::string(evaluation) == "longer" && !config.run.controls) continue;
    Json row = {{"name", name}};
    row.update(stage_results(folder, "moe-eval"));
    row["training_seconds"] = evaluation == std::string("base")     ? base
                              : evaluation == std::string("longer") ? base + seconds(out / "longer")
                              : evaluation == std::string("local")
                                  ? mixture
                                  : mixture + seconds(out / "decoder");
    summary.push_back(std::move(row));
  }
  return summary;
}

std::string summary_table(const Json& summary) {
  std::string text;
  for (const char* labels : {"tags", "truth"}) {
    std::vector<std::vector<std::string>> table = {{fmt::format("against {}", labels), "P@1", "P@5",
                                                    "R@10", "parameters", "FLOPs an image",
                                                    "seconds"}};
    for (const auto& row : summary) {
      if (!row.contains(labels)) continue;
      const Json& metrics = row[labels];
      const auto share = [&](const char* key) {
        const Json& value = metrics[key];
        return value.is_null() ? metric_text(0, 0) : metric_text(value.get<double>(), 1);
      };
      table.push_back({row["name"], share("P@1"), share("P@5"), share("R@10"),
                       human_count(row["parameters"].get<double>()),
                       human_count(row["flops_per_image"].get<double>()),
                       fmt::format("{:.0f}", row["training_seconds"].get<double>())});
    }
    if (table.size() == 1) continue;
    if (!text.empty()) text += '\n';
    text += format_table(table);
  }
  const bool own = std::any_of(summary.begin(), summary.end(),
                               [](const Json& row) { return row.contains("routed_by"); });
  if (own) text += "mixtures: parameters and FLOPs without what made run.embedding\n";
  return text;
}

}  // namespace hardmoe
