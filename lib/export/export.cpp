#include "export/export.h"

#include <algorithm>

#include "base/error.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/stage.h"
#include "export/model_file.h"
#include "export/onnx_model.h"
#include "moe/evaluation.h"
#include "moe/mixture_card.h"
#include "moe/router.h"
#include "tasks/opened_networks.h"
#include "tasks/results.h"
#include "train/probability.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* file_name = "model.onnx";

/// The folders that are exported, and how their answers become one.
struct ExportSource {
  NetworkFolders networks;
  std::string decoder;
  AnswerSettings answer;
};

ExportSource find_source(const ExportTask& task, const Config& config) {
  ExportSource source{task.networks, task.decoder, {}};
  const std::string& model = task.networks.model;
  const bool packed = !model.empty() && path_exists(fs::path(model) / mixture_card_name);
  if (!task.run.empty() || packed) {
    const FoundNetworks found = find_networks(packed ? model : task.run, task.row);
    source.networks = found.networks;
    source.networks.sparse = task.networks.sparse;
    source.decoder = found.decoder;
    if (found.networks.is_mixture()) source.answer = answer_settings(found);
  }
  if (!config.eval.use_prices) source.answer.use_prices = false;
  if (config.mixture.base_share != 0) {
    source.answer.base_share = config.mixture.base_share;
    source.answer.mix = config.mixture.mix;
  }
  return source;
}

/// What is exported, opened.
struct Opened {
  std::optional<Model> model;
  std::optional<Mixture> mixture;
  std::optional<Vocabulary> tags;
  Json identity = Json::object();
};

std::optional<Vocabulary> tags_of(const std::filesystem::path& model) {
  if (path_exists(model / model_tags_name)) return load_vocabulary(vocabulary_file(model));
  log_warning("{}: an earlier version wrote it without {}, so that the file names no tags",
              model.string(), model_tags_name);
  return std::nullopt;
}

Opened open_mixture_of(const ExportSource& source, std::optional<int64_t> expert) {
  const NetworkFolders& folders = source.networks;
  check_experts_folder(folders.experts);
  if (!folders.features.empty()) {
    fail_usage(
        "--features: are rows for a dataset's images, and a file takes any image; leave it out, "
        "and where an external embedding made the partition give a router (--router)");
  }
  Mixture mixture = open_mixture(folders.base, folders.partition, folders.experts, source.decoder);
  Opened opened;
  opened.tags = tags_of(folders.base);
  opened.identity = mixture_identity(mixture, folders.base, folders.partition);
  if (!source.decoder.empty()) opened.identity["decoder"] = decoder_fingerprint(source.decoder);
  if (expert) {
    if (*expert < 0 || *expert >= std::ssize(mixture.experts)) {
      fail_usage("--expert {}: the mixture has experts 0 to {}", *expert,
                 mixture.experts.size() - 1);
    }
    if (mixture.embedding != EmbeddingKind::expert) {
      fail_usage(
          "--expert {}: the decoder {} also reads the base's features, so that no expert answers "
          "alone; export the whole mixture, or leave the decoder out",
          *expert, source.decoder);
    }
    opened.identity["expert"] = *expert;
    opened.model = Model{mixture.base.card, expert_state_dict(mixture, *expert)};
    opened.model->card.loss = mixture.losses.at(static_cast<size_t>(*expert));
    return opened;
  }
  if (!folders.router.empty()) {
    mixture.router = open_router(folders.router, folders.partition, folders.base);
    opened.identity["router"] = stage_fingerprint(folders.router, "moe-train-router");
  }
  check_routing(mixture);
  if (source.answer.base_share == -1) {
    fail_usage("mixture.base_share: -1 is fitted by moe-eval; give the value it found, 0 to 1");
  }
  check_mixing(mixture, {source.answer.base_share, source.answer.mix}, nullptr);
  if (source.answer.top_experts > 1) {
    log_warning("the mixture was evaluated with {} experts an image; the file asks the first alone",
                source.answer.top_experts);
  }
  opened.identity["use_prices"] = source.answer.use_prices;
  if (source.answer.base_share != 0) {
    opened.identity["base_share"] = source.answer.base_share;
    opened.identity["mix"] = mix_names.at(static_cast<size_t>(source.answer.mix));
  }
  opened.mixture = std::move(mixture);
  return opened;
}

Opened open_source(const ExportSource& source, std::optional<int64_t> expert) {
  if (source.networks.is_mixture()) return open_mixture_of(source, expert);
  if (expert) {
    fail_usage("--expert {}: is for a mixture; {} is one model, exported as it is", *expert,
               source.networks.model);
  }
  Opened opened;
  opened.model = load_changed_model(source.networks.model, source.networks.sparse);
  add_identity(source.networks.sparse, opened.identity);
  opened.model->card.loss = loss_of(source.networks.model);
  opened.tags = tags_of(source.networks.model);
  opened.identity["model"] = model_hash(source.networks.model);
  return opened;
}

}  // namespace

std::string export_networks(const ExportTask& task, const Config& config) {
  if (task.format != "onnx") fail_usage("--format: expected onnx, found '{}'", task.format);
  if (std::filesystem::path(task.out).extension() == ".onnx" && !path_exists(task.out)) {
    fail_usage(
        "--out {}: is the name of the folder in which model.onnx is written, found one of a "
        "file; give a folder",
        std::filesystem::path(task.out).string());
  }
  const ExportSource source = find_source(task, config);
  const Opened opened = open_source(source, task.expert);
  Json inputs = {{"format", task.format},
                 {"single_image", task.single_image},
                 {"preprocessing", task.preprocessing}};
  inputs.update(opened.identity);
  auto reads = paths_read("", source.networks, {});
  reads.emplace_back(source.decoder);
  Stage stage({task.out,
               "moe-export",
               inputs,
               task.force,
               std::move(reads),
               {file_name, std::string(file_name) + onnx_data_suffix, model_tags_name}});
  if (stage.done()) return results_of_done(stage);
  const ModelFileForm form{task.single_image, task.preprocessing};
  const std::filesystem::path file = stage.folder() / file_name;
  std::vector<std::string> files;
  if (opened.mixture) {
    files = write_mixture_file(file, *opened.mixture, source.answer, opened.tags, form);
  } else {
    files = write_model_file(file, *opened.model, opened.tags, form);
  }
  size_t bytes = 0;
  for (const auto& name : files) bytes += file_size_of(stage.folder() / name);
  Json results = {{"bytes", bytes}};
  if (opened.mixture) results["experts"] = opened.mixture->partition.gater.experts;
  if (opened.tags) {
    save_vocabulary(stage.folder() / model_tags_name, *opened.tags);
    files.emplace_back(model_tags_name);
  }
  results["files"] = files;
  stage.finish(files, results);
  return result_line(stage.results());
}

}  // namespace hardmoe
