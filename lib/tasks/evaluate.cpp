#include "tasks/evaluate.h"

#include <optional>
#include <utility>

#include "base/json_field.h"
#include "base/log.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "data/selection.h"
#include "moe/chosen_experts.h"
#include "moe/evaluation.h"
#include "moe/evaluation_gaps.h"
#include "tasks/results.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

/// What is evaluated, and its identity for the stage's inputs.
struct Evaluated {
  std::vector<Model> models;  ///< one, or several that are averaged
  std::optional<Mixture> mixture;
  std::optional<EmbeddingInput> external;  ///< what routes the mixture, if the base does not
  Json identity = Json::object();
};

Evaluated open_models(const NetworkFolders& folders, Mix mix) {
  Evaluated opened;
  opened.models.push_back(load_changed_model(folders.model, folders.sparse));
  opened.identity["model"] = model_hash(folders.model);
  for (const auto& folder : folders.others) {
    opened.models.push_back(load_changed_model(folder, folders.sparse));
    opened.identity["others"].push_back(model_hash(folder));
  }
  add_identity(folders.sparse, opened.identity);
  check_models(opened.models, mix);
  if (!folders.others.empty()) opened.identity["mix"] = mix_names[static_cast<size_t>(mix)];
  return opened;
}

/// Returns the split on which shares are fitted; null if there is none beside the evaluated one.
const Split* selection_of(const Dataset& dataset, const Split& evaluated) {
  const bool apart = evaluated.name() != selection_split && dataset.has_split(selection_split);
  return apart ? &dataset.split(selection_split) : nullptr;
}

/// Warns if what is evaluated was fitted on the split that evaluates it.
void warn_of_fitted(const EvaluateTask& task, const Split& split) {
  if (split.name() != selection_split || !task.networks.is_mixture()) return;
  const bool rerouted = stage_inputs(task.networks.partition, "moe-partition").contains("reroute");
  bool decoder = false;
  if (!task.decoder.empty()) {
    const std::filesystem::path record = std::filesystem::path(task.decoder) / "stage.json";
    const Json stage = read_stage_record(record);
    decoder = json_object(stage, "inputs", record.string()).contains("split");
  }
  if (!rerouted && !decoder) return;
  log_warning("{}: was fitted on the split '{}', which evaluates it: the metrics flatter it",
              decoder ? task.decoder : task.networks.partition, selection_split);
}

Evaluated open_evaluated(const EvaluateTask& task, const Dataset& dataset, const Split& split,
                         Config& config) {
  const NetworkFolders& folders = task.networks;
  check_mixture_config(config.mixture);
  if (!folders.is_mixture()) return open_models(folders, config.mixture.mix);
  Evaluated opened;
  check_experts_folder(folders.experts);
  opened.mixture = open_mixture(folders.base, folders.partition, folders.experts, task.decoder,
                                task.stale_decoder ? DecoderMatch::stale : DecoderMatch::exact);
  check_eval_config(config.eval, opened.mixture->partition.gater.experts);
  check_share_is_fitted_elsewhere(config.mixture, split.name());
  const OtherRouting routing =
      open_routing(folders, config.eval.use_prices, split, *opened.mixture);
  opened.external = routing.external;
  opened.identity.update(routing.identity);
  check_mixing(*opened.mixture, config.mixture, selection_of(dataset, split));
  Json settings = config_json(fields_of(config.eval));
  settings.erase("precision");  // the one that is meant is told beside
  opened.identity["eval"] = std::move(settings);
  opened.identity.update(mixture_identity(*opened.mixture, folders.base, folders.partition));
  if (!task.decoder.empty()) {
    opened.identity["decoder"] = decoder_fingerprint(task.decoder);
  }
  if (config.mixture.base_share != 0) {
    opened.identity["mixture"] = {{"base_share", config.mixture.base_share},
                                  {"mix", mix_names[static_cast<size_t>(config.mixture.mix)]}};
  }
  return opened;
}

/// Throws Error(usage) unless all networks were trained on the dataset's tags.
void require_vocabularies(const Evaluated& evaluated, const NetworkFolders& folders,
                          const Dataset& dataset) {
  if (evaluated.mixture) {
    return require_vocabulary(evaluated.mixture->base.card, folders.base, dataset);
  }
  require_vocabulary(evaluated.models[0].card, folders.model, dataset);
  for (size_t m = 1; m < evaluated.models.size(); ++m) {
    require_vocabulary(evaluated.models[m].card, folders.others[m - 1], dataset);
  }
}

}  // namespace

std::string evaluate(const EvaluateTask& task, Config& config) {
  const Precision precision =
      inference_precision(config.eval.precision, training_precision(task.networks, config));
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& split = dataset.split(config.eval.split);
  require_precision(*engine, precision);
  const Evaluated evaluated = open_evaluated(task, dataset, split, config);
  warn_of_fitted(task, split);
  require_vocabularies(evaluated, task.networks, dataset);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"split", config.eval.split},
                 {"precision", name_of(precision)},
                 {"metrics", 2}};  // 1: mAP was image-wise
  inputs.update(evaluated.identity);

  const auto shown = [&](const Json& results) {
    return task.json ? result_line(results) : evaluation_text(parse_evaluation(results, "result"));
  };
  std::optional<Stage> stage;
  if (!task.out.empty()) {
    auto reads = paths_read(task.dataset, task.networks, evaluated.external);
    reads.emplace_back(task.decoder);
    auto writes = image_result_files();
    writes.emplace_back("metrics.json");
    stage.emplace(Stage::Options{task.out, "moe-eval", inputs, task.force, std::move(reads),
                                 std::move(writes)});
  }
  if (stage && stage->done()) {
    log_info("{}: already done", task.out);
    return shown(stage->results());
  }
  const auto measured = [&] {
    if (evaluated.mixture) {
      return evaluate_mixture(*engine, *evaluated.mixture, split, evaluated.external, config.eval,
                              precision, config.mixture, selection_of(dataset, split));
    }
    if (evaluated.models.size() > 1) {
      return evaluate_models(*engine, evaluated.models, split, config.mixture.mix, precision);
    }
    const Model& model = evaluated.models[0];
    Evaluation alone =
        evaluate_model(*engine, model, loss_of(task.networks.model), split, precision);
    for (ChosenExperts& layer : chosen_experts(*engine, model, split, precision)) {
      alone.layers.push_back(std::move(layer.use));
    }
    return alone;
  };
  const Evaluation evaluation = measured();
  for (const auto& gap : evaluation_gaps(evaluation, config.eval.split)) log_warning("{}", gap);
  Json results = evaluation_json(evaluation);
  if (stage) {
    results["images"] = image_results_json(evaluation.images);
    write_json(stage->folder() / "metrics.json", results);
    auto files = save_image_results(stage->folder(), evaluation.images);
    files.emplace_back("metrics.json");
    stage->finish(files, results);
  }
  return shown(results);
}

}  // namespace hardmoe
