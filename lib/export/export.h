// moe-export: a model, one expert or a whole mixture → a file that other programs run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tasks/config.h"
#include "tasks/networks.h"

namespace hardmoe {

/// What moe-export is to do.
struct ExportTask {
  std::string run;  ///< folder of moe-run, of a model or of a packed mixture; empty: `networks`
  std::string row;  ///< which row of a run's table; empty: its mixture
  NetworkFolders networks;
  std::string decoder;            ///< of moe-train-decoder; empty: each expert's own
  std::optional<int64_t> expert;  ///< this expert of the mixture alone; none: all of it
  std::string format = "onnx";    ///< the only one
  bool single_image = false;      ///< one image at a time
  bool preprocessing = false;     ///< the file takes whole images
  std::string out;                ///< folder of model.onnx
  bool force = false;             ///< see Stage::Options::force
};

/// Writes OUT/model.onnx, where weights are many OUT/model.onnx.data, and OUT/tags.tsv; does nothing
/// if that is done. Returns the results as a line of JSON. Throws Error(usage), before it changes
/// `out`, for what cannot be exported (a partition at random, an external embedding that routes) and
/// for folders that do not belong together.
std::string export_networks(const ExportTask& task, const Config& config);

}  // namespace hardmoe
