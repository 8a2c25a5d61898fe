// What a configuration's run would be, for tests of its stages.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "base/threads.h"
#include "run/pipeline.h"

namespace hardmoe {

inline Pipeline plan(const Config& config, bool force = false) {
  return plan_pipeline(config, "/out", "/bin", "/out/config.yaml", force);
}

inline std::vector<std::string> lines_of(const Pipeline& pipeline) {
  std::vector<std::string> lines;
  for (const size_t stage : order_of(pipeline.stages)) {
    lines.push_back(shell_line(pipeline.stages[stage].process.arguments));
  }
  return lines;
}

/// The stages by their names, each with those it is after.
inline std::map<std::string, std::string> graph_of(const Pipeline& pipeline) {
  std::map<std::string, std::string> graph;
  for (const RunStage& stage : pipeline.stages) {
    graph[stage.process.name] = join(stage.after, ", ");
  }
  return graph;
}

/// Two experts; with as many threads as commands take by themselves, so that none names them.
inline Config small() {
  set_compute_threads(available_processors());
  Config config;
  config.ingest.sources = {"a.tar", "b c.tar"};
  config.ingest.val_fraction = 0.2;
  config.partition.experts = 2;
  return config;
}

/// The words of a stage's command after its dataset, without the configuration.
inline std::string words_of(const Pipeline& pipeline, const std::string& name) {
  for (const RunStage& stage : pipeline.stages) {
    if (stage.process.name != name) continue;
    std::string line = shell_line(stage.process.arguments);
    line = line.substr(0, line.find(" --config")) + line.substr(line.find("/out/config.yaml") + 16);
    return line.substr(line.find(' ') + 1);
  }
  return "no stage " + name;
}

}  // namespace hardmoe
