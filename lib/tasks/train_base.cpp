#include "tasks/train_base.h"

#include <optional>

#include "base/log.h"
#include "data/same_tags.h"
#include "data/selection.h"
#include "engine/network_facts.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/inference.h"
#include "train/warm_start.h"

namespace hardmoe {

std::string train_base(const TrainBaseTask& task, Config& config) {
  check_base_config(config.base);
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  const ModelCard card{config.model, dataset.vocabulary().size(),
                       vocabulary_hash(dataset.vocabulary())};
  const Network network = resnet(card.model, card.tags);
  ImageTraining job{dataset.split("train"), {}, {card, {}}, config.base, "base", config.seed,
                    dataset.vocabulary()};
  check_image_training(*engine, job);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"seed", config.seed},
                 {"model", config_json(fields_of(config.model))},
                 {"base", training_inputs(config.base)}};
  if (config.base.patience > 0) {
    inputs["base"]["patience"] = job.patience = config.base.patience;
    job.selection = &require_selection(dataset, "base.patience");
    job.selection_items = all_items(*job.selection);
  }
  std::optional<EarlierWeights> earlier;
  if (!config.base.init.empty()) {
    earlier = read_earlier_weights(config.base.init, config.model);
    inputs["init"] = earlier->identity;
  }
  Stage stage({task.out,
               "moe-train-base",
               inputs,
               task.force,
               {task.dataset, config.base.init},
               model_stage_files()});
  if (stage.done()) return results_of_done(stage);
  if (const auto same = warning_of_same_tags(dataset); !same.empty()) log_warning("{}", same);
  write_file_atomic(stage.folder() / "config.yaml", config_yaml(fields_of(config)));
  job.start.weights = initial_weights(network, config.seed);
  if (earlier) {
    if (!earlier->warning.empty()) log_warning("{}", earlier->warning);
    log_info("{}: {}", task.out, begin_with(*earlier, dataset.vocabulary(), job.start.weights));
  }
  return result_line(train_stage(stage, *engine, job));
}

}  // namespace hardmoe
