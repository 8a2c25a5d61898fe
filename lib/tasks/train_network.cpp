#include "tasks/train_network.h"

#include <optional>

#include "base/log.h"
#include "data/same_tags.h"
#include "data/selection.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "train/inference.h"
#include "train/warm_start.h"

namespace hardmoe {

std::string train_network(const NetworkTask& task, Config& config) {
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  const ModelCard card{task.model, dataset.vocabulary().size(),
                       vocabulary_hash(dataset.vocabulary())};
  const Network network = network_of(card.model, card.tags);
  value_types(network);  // throws for what cannot be computed
  ImageTraining job{dataset.split("train"), {},          {card, {}},          task.settings,
                    task.section,           config.seed, dataset.vocabulary()};
  check_image_training(*engine, job);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"seed", config.seed},
                 {"model", model_json(task.model)},
                 {task.section, training_inputs(task.settings)}};
  inputs[task.section].update(task.judging.inputs());
  if (const Split* split = judging_split(task.judging, dataset, task.section)) {
    job.judged_every = task.judging.every();
    job.patience = task.judging.patience;
    job.selection = split;
    job.selection_items = all_items(*split);
  }
  std::optional<EarlierWeights> earlier;
  if (!task.init.empty()) {
    earlier = read_earlier_weights(task.init, task.model);
    inputs["init"] = earlier->identity;
  }
  Stage stage(
      {task.out, task.command, inputs, task.force, {task.dataset, task.init}, model_stage_files()});
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
