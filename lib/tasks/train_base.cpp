#include "tasks/train_base.h"

#include "tasks/train_network.h"

namespace hardmoe {

std::string train_base(const TrainBaseTask& task, Config& config) {
  check_base_config(config.base);
  return train_network({"moe-train-base", "base", task.dataset, task.out, task.force, config.model,
                        config.base, config.base.init, config.base.judging},
                       config);
}

}  // namespace hardmoe
