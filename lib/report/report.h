// moe-report: runs of moe-run and models of moe-train-sparse → one page that people read, and its
// pictures as files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

/// What moe-report is to do.
struct ReportTask {
  std::vector<std::filesystem::path> runs;  ///< folders of moe-run or moe-train-sparse
  std::filesystem::path out;                ///< the page
  std::filesystem::path pictures;           ///< folder for its pictures as PNG; empty: none
  std::filesystem::path dataset;  ///< of all; empty: where each run has it, of models none
  /// Validation images that base and experts are asked about, for maps, neighbours, calibration and
  /// errors; 0: none.
  int64_t images = 5000;
  std::string device;  ///< cpu, cuda or cuda:N
};

/// Writes the page, whole or not at all, and then the pictures. Returns a line for each that was
/// written. Of a run that is not finished the page shows what there is, and says what is missing.
/// Throws Error(usage) as open_runs() and
/// open_sparse_model() do, for a number of images outside 0 … 5000, if `out` is a
/// folder, or if pictures are asked for and there is no rsvg-convert; Error(interrupted) after
/// SIGTERM.
std::string write_report(const ReportTask& task);

}  // namespace hardmoe
