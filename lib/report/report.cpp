#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "engine/engine.h"
#include "report/picture_files.h"
#include "report/sections.h"
#include "report/sparse_model.h"

namespace hardmoe {
namespace {

constexpr int64_t most_images = 5000;

/// Returns why no networks can be asked about a run's images; "" if they can.
std::string no_sample(const ReportTask& task, const RunView& run) {
  if (task.images == 0) return "Left out: no images were asked about (--asked-images 0).";
  if (!run.dataset) return "Left out: the run's data set cannot be read. " + run.no_dataset;
  if (run.done("base") == nullptr || run.done("partition") == nullptr) {
    return "Left out: the run's base or its partition is not there (yet).";
  }
  if (run.finished_experts().empty()) return "Left out: not all experts are trained yet.";
  if (!run.evaluation("local")) {
    return "Left out: the mixture with local decoders is not evaluated yet.";
  }
  return {};
}

void add_run(const ReportTask& task, const RunView& run, int64_t experts, Engine& engine,
             Page& page) {
  RunContents contents{run, nullptr, no_sample(task, run),
                       image_budget(std::ssize(task.runs), experts)};
  std::optional<AnsweredSample> sample;
  if (contents.no_sample.empty()) {
    sample = answer_sample(run, task.images, engine);
    if (sample->items.empty()) {
      contents.no_sample = "Left out: no image to evaluate on has tags.";
    } else {
      contents.sample = &*sample;
    }
  }
  page.set_picture_prefix(task.runs.size() > 1 ? file_word(run.name) + "-" : "");
  page.heading(2, "Run " + run.name);
  const int64_t done = run.stages_done(), planned = std::ssize(run.stages);
  if (done < planned) {
    page.text(
        fmt::format("This run is not finished: {} of its {} stages are done. What is shown is "
                    "what there is.",
                    done, planned));
  }
  if (run.config.run.seeds > 1) {
    page.text(fmt::format("Tables of quality are of {} seeds; all else is of the first, {}.",
                          run.config.run.seeds, run.config.seed));
  }
  for (const auto add : {add_answer, add_curves, add_sizes, add_experts, add_tags, add_map,
                         add_neighbours, add_calibration, add_times}) {
    throw_if_interrupted();
    add(contents, page);
  }
}

/// What the page shows, in the order in which it was named, runs first.
struct Shown {
  std::vector<RunView> runs;
  std::vector<SparseModel> models;
};

/// Calls models by their whole paths where folders have the same name.
void name_apart(std::vector<SparseModel>& models) {
  std::vector<std::string> names;
  for (const SparseModel& model : models) names.push_back(model.name);
  for (SparseModel& model : models) {
    if (std::ranges::count(names, model.name) > 1) model.name = model.folder.string();
  }
}

Shown open_shown(const ReportTask& task) {
  Shown shown;
  std::vector<std::filesystem::path> runs;
  for (const auto& folder : task.runs) {
    if (is_sparse_model(folder)) {
      shown.models.push_back(open_sparse_model(folder, task.dataset));
    } else {
      runs.push_back(folder);
    }
  }
  if (!runs.empty()) shown.runs = open_runs(runs, task.dataset);
  name_apart(shown.models);
  return shown;
}

std::string title_of(const Shown& shown) {
  const std::vector<RunView>& runs = shown.runs;
  if (runs.empty()) {
    return shown.models.size() == 1
               ? "Layers of experts: " + shown.models[0].name
               : fmt::format("Layers of experts: {} models", shown.models.size());
  }
  return runs.size() == 1 ? "Mixture of experts: " + runs[0].name
                          : fmt::format("Mixtures of experts: {} runs", runs.size());
}

std::string subtitle_of(const Shown& shown) {
  if (shown.runs.size() + shown.models.size() > 1 || shown.runs.empty()) {
    std::vector<std::string> names;
    for (const RunView& each : shown.runs) names.push_back(each.name);
    for (const SparseModel& each : shown.models) names.push_back(each.name);
    return join(names, ", ");
  }
  const RunView& run = shown.runs[0];
  std::string text = fmt::format("{} experts", run.config.partition.experts);
  if (!run.dataset) return text;
  const Dataset& dataset = *run.dataset;
  text += fmt::format(", {} training images, {} tags", dataset.split("train").size(),
                      dataset.vocabulary().size());
  if (!dataset.has_split(run.config.eval.split)) return text;
  return text + fmt::format(", evaluated on {} images of {}",
                            dataset.split(run.config.eval.split).size(), run.config.eval.split);
}

}  // namespace

std::string write_report(const ReportTask& task) {
  if (task.images < 0 || task.images > most_images) {
    fail_usage("--asked-images: expected 0 to {}, found {}", most_images, task.images);
  }
  if (is_folder(task.out)) {
    fail_usage("--out {}: is a folder; give the name of the page, such as {}", task.out.string(),
               (task.out / "report.html").string());
  }
  make_writable_folder(task.out.has_parent_path() ? task.out.parent_path() : ".");
  if (!task.pictures.empty()) require_picture_files(task.pictures);
  const Shown shown = open_shown(task);
  const std::vector<RunView>& runs = shown.runs;
  for (const RunView& run : runs) {
    if (!run.no_dataset.empty()) {
      log_warning("{}: images and tags are left out: {}", run.folder.string(), run.no_dataset);
    }
  }
  int64_t experts = 0;
  for (const RunView& run : runs) experts += run.config.partition.experts;
  const auto engine = make_engine(task.device);
  Page page;
  if (runs.size() > 1) add_comparison(runs, page);
  for (const RunView& run : runs) add_run(task, run, experts, *engine, page);
  for (const SparseModel& model : shown.models) {
    throw_if_interrupted();
    page.set_picture_prefix(task.runs.size() > 1 ? file_word(model.name) + "-" : "");
    add_sparse_model(model, *engine, page);
  }
  write_file_atomic(behind_links(task.out), page.html(title_of(shown), subtitle_of(shown)));
  std::string written = task.out.string() + "\n";
  if (task.pictures.empty()) return written;
  for (const auto& file : write_picture_files(task.pictures, page.pictures())) {
    written += file.string() + "\n";
  }
  return written;
}

}  // namespace hardmoe
