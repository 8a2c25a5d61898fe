#include "tasks/results.h"

#include "base/log.h"

namespace hardmoe {

std::string result_line(const Json& results) { return results.dump() + "\n"; }

std::string results_of_done(const Stage& stage) {
  log_info("{}: already done", stage.folder().string());
  return result_line(stage.results());
}

}  // namespace hardmoe
