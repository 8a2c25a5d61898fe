#include "tasks/evaluate.h"

#include <optional>

#include "base/log.h"
#include "base/stage.h"
#include "moe/evaluation.h"
#include "moe/evaluation_gaps.h"
#include "tasks/results.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

/// What is evaluated, and its identity for the stage's inputs.
struct Evaluated {
  std::optional<Model> model;
  std::optional<Mixture> mixture;
  std::optional<EmbeddingInput> external;  ///< what routes the mixture, if the base does not
  Json identity = Json::object();
};

Evaluated open_evaluated(const EvaluateTask& task, const Split& split, EvalConfig& config) {
  const NetworkFolders& folders = task.networks;
  Evaluated opened;
  if (!folders.is_mixture()) {
    opened.model = load_model(folders.model);
    opened.identity["model"] = model_hash(folders.model);
    return opened;
  }
  check_experts_folder(folders.experts);
  opened.mixture = open_mixture(folders.base, folders.partition, folders.experts, task.decoder,
                                task.stale_decoder ? DecoderMatch::stale : DecoderMatch::exact);
  check_eval_config(config, opened.mixture->partition.gater.experts);
  opened.external =
      find_routing_features(*opened.mixture, folders.partition, folders.features, split);
  if (opened.external) opened.identity["features"] = opened.external->identity["embedding"];
  Json settings = config_json(fields_of(config));
  settings.erase("precision");  // the one that is meant is told beside
  opened.identity["eval"] = std::move(settings);
  opened.identity.update(mixture_identity(*opened.mixture, folders.base, folders.partition));
  if (!task.decoder.empty()) {
    opened.identity["decoder"] = stage_fingerprint(task.decoder, "moe-train-decoder");
  }
  return opened;
}

}  // namespace

std::string evaluate(const EvaluateTask& task, Config& config) {
  const Precision precision = inference_precision(
      config.eval.precision,
      task.networks.is_mixture() ? config.expert.precision : config.base.precision);
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& split = dataset.split(config.eval.split);
  require_precision(*engine, precision);
  const Evaluated evaluated = open_evaluated(task, split, config.eval);
  require_vocabulary(evaluated.model ? evaluated.model->card : evaluated.mixture->base.card,
                     evaluated.model ? task.networks.model : task.networks.base, dataset);
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
  const Evaluation evaluation = evaluated.model
                                    ? evaluate_model(*engine, *evaluated.model,
                                                     loss_of(task.networks.model), split, precision)
                                    : evaluate_mixture(*engine, *evaluated.mixture, split,
                                                       evaluated.external, config.eval, precision);
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
