// The parts of a report, each in a file of its own (sections/): what it shows of a run goes into the
// page; what a part needs and the run does not have, it says in a sentence.
#pragma once

#include <optional>
#include <vector>

#include "draw/plot.h"
#include "report/answered_sample.h"
#include "report/page.h"
#include "report/run_view.h"

namespace hardmoe {

/// How many small images a report may hold, so that its page stays under 10 MB whatever the number
/// of experts and runs.
struct ImageBudget {
  int64_t experts = 0;  ///< whose images are shown, of each run
  int64_t a_side = 0;   ///< of an expert nearest its centroid, and as many at its border
  int64_t errors = 0;   ///< of an expert
  int64_t queries = 0;  ///< of a run, each with its neighbours
  int64_t on_map = 0;   ///< over the points of a map
};
/// Returns the budget for so many experts, of all runs together.
ImageBudget image_budget(int64_t runs, int64_t experts);

/// A run with what was computed for it.
struct RunContents {
  const RunView& run;
  const AnsweredSample* sample = nullptr;  ///< null: none could be computed, or none was asked for
  std::string no_sample;                   ///< why
  ImageBudget budget;
};

/// Is the mixture better than the base and each control, and at what cost: sentences, tables, charts.
void add_answer(const RunContents& contents, Page& page);
/// What differs between runs, in their configurations and results.
void add_comparison(const std::vector<RunView>& runs, Page& page);
/// The loss over images seen, of base, experts and the longer base; where some were stopped early
/// also on held-out images.
void add_curves(const RunContents& contents, Page& page);
/// The sizes of parts in training beside where validation's images go.
void add_sizes(const RunContents& contents, Page& page);
/// Each expert: its precision beside the base's, its tags, its images, its errors.
void add_experts(const RunContents& contents, Page& page);
/// The long tail of tags, and how well frequent and rare ones are told.
void add_tags(const RunContents& contents, Page& page);
/// The embeddings in the plane.
void add_map(const RunContents& contents, Page& page);
/// Images with their nearest ones, among all and among those of other experts.
void add_neighbours(const RunContents& contents, Page& page);
/// Whether probabilities are what they say.
void add_calibration(const RunContents& contents, Page& page);
/// Stages with their times, operations and machines.
void add_times(const RunContents& contents, Page& page);

/// Drops a curve's last point if it is the mean of fewer than half as many steps as the others are.
void drop_stub(std::vector<PlotPoint>& points);
/// Returns "+0.012" or "−0.012".
std::string signed_text(double value);
/// Returns a metric of a row of a run's summary, with its standard error over seeds if there are
/// several: "0.512 ± 0.003"; "–" if the row has none.
std::string metric_of(const Json& row, const std::string& name);
/// Returns a number as "1.2M", "–" if it is none.
std::string count_of(const Json& value);
/// Returns a difference with its interval, "+0.012 [+0.001, +0.023]"; "" if the row has none.
std::string interval_of(const Json& row, const std::string& name);
/// Returns "23%" of 0.23.
std::string share_text(double value);
/// Returns up to `most` of an image's tags, by commas.
std::string tags_text(const RunView& run, std::span<const int32_t> tags, size_t most);

}  // namespace hardmoe
