#include "report/sparse_model.h"

#include <fmt/format.h>

#include <map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/ordered_json.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "draw/charts.h"
#include "moe/chosen_experts.h"
#include "moe/evaluation.h"
#include "nn/architecture.h"
#include "report/sections.h"
#include "report/statistics.h"
#include "report/tag_map.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* command = "moe-train-sparse";
constexpr const char* evaluated_split = "val";

/// What log.jsonl has of each name that begins with `prefix`, over epochs.
std::vector<Line> lines_of(const fs::path& log, const std::string& prefix) {
  std::map<std::string, std::vector<PlotPoint>> found;
  if (!path_exists(log)) return {};
  for (const auto& text : split(read_file(log), '\n')) {
    const Json line = parse_json_line(text);
    if (!line.is_object() || !line.contains("epoch") || !line["epoch"].is_number()) continue;
    for (const auto& [key, value] : line.items()) {
      if (!key.starts_with(prefix) || !value.is_number()) continue;
      const std::string name = key == prefix ? "" : key.substr(prefix.size());
      found[name].push_back({line["epoch"].get<double>(), value.get<double>()});
    }
  }
  std::vector<Line> lines;
  for (auto& [name, points] : found) {
    lines.push_back({name, std::move(points), static_cast<int>(lines.size())});
  }
  return lines;
}

void add_learning(const SparseModel& shown, Page& page) {
  page.heading(3, "Learning");
  const fs::path log = shown.folder / "log.jsonl";
  const Axis x{"epoch", ScaleKind::linear};
  std::vector<Picture> pictures;
  if (auto loss = lines_of(log, "loss"); !loss.empty()) {
    std::erase_if(loss, [](const Line& line) { return !line.name.empty(); });
    for (Line& line : loss) drop_stub(line.points);
    pictures.push_back(
        draw(LineChart{{"learning", "Loss in training, balance losses included, over epochs."},
                       x,
                       {"loss"},
                       loss}));
  }
  if (const auto use = lines_of(log, "max_over_mean/"); !use.empty()) {
    pictures.push_back(draw(
        LineChart{{"use-of-experts",
                   "How many times its even share of the work the busiest expert of each layer "
                   "got lately, over epochs; 1 is balance."},
                  x,
                  {"greatest share over mean", ScaleKind::linear, 0, 2},
                  use}));
  }
  page.drawings(pictures);
}

/// Adds metrics against the labels that the split has.
void add_quality(const SparseModel& shown, const Split& split, Engine& engine, Page& page) {
  const ModelCard& card = shown.model.card;
  const Evaluation evaluation =
      evaluate_model(engine, shown.model, card.loss, split, Precision::fp32);
  const Json metrics = evaluation_json(evaluation);
  std::vector<std::vector<std::string>> rows = {{"against", "P@1", "P@5", "R@10"}};
  for (const char* labels : {"tags", "truth"}) {
    if (!metrics.contains(labels)) continue;
    const Json& row = metrics[labels];
    rows.push_back({labels, metric_of(row, "P@1"), metric_of(row, "P@5"), metric_of(row, "R@10")});
  }
  page.table(fmt::format("Quality on the {} images of {}; {} FLOPs an image, {} parameters",
                         split.size(), split.name(), count_of(metrics["flops_per_image"]),
                         count_of(metrics["parameters"])),
             rows);
}

/// Returns how many images go to each expert most, as a table's cell.
std::string images_by_expert(const ChosenExperts& layer) {
  std::vector<int64_t> images(layer.use.gates.size(), 0);
  for (const uint16_t expert : layer.most_of) ++images[expert];
  return fmt::format("{}", fmt::join(images, " · "));
}

void add_experts_of(const std::vector<ChosenExperts>& layers, const Split& split,
                    const Vocabulary& vocabulary, Page& page) {
  page.heading(3, "What experts have become");
  std::vector<std::vector<std::string>> rows = {{"layer", "experts", "greatest share over mean",
                                                 "images by expert", "bits of the tag",
                                                 "by chance"}};
  const int64_t tags = vocabulary.size();
  for (const ChosenExperts& layer : layers) {
    const int64_t experts = std::ssize(layer.use.gates);
    rows.push_back(
        {layer.use.layer, std::to_string(experts), fmt::format("{:.2f}", layer.use.max_over_mean()),
         images_by_expert(layer),
         fmt::format("{:.3f}", mutual_information(split, layer.most_of, experts, tags)),
         fmt::format("{:.3f}", chance_information(split, layer.most_of, experts, tags))});
  }
  page.table(fmt::format("Layers of experts on {}", split.name()), rows);
  page.note(
      "Images by expert: how many go to each one most, from expert 0 on. Bits of the tag: the "
      "mutual information of an image's tag and the expert that it goes to "
      "most. By chance: that of parts of the same sizes drawn at random, which is what so few "
      "images show of experts that know nothing of tags.");
  constexpr int64_t shown = 24;
  std::vector<Picture> maps;
  for (const ChosenExperts& layer : layers) {
    const int64_t experts = std::ssize(layer.use.gates);
    const TagCounts counts(split, layer.most_of, experts, tags);
    const auto map = tag_map(
        {"tags-by-expert-" + file_word(layer.use.layer),
         layer.use.layer +
             ": how many times as often as among all images a tag occurs in "
             "those that go to an expert; 1 is as often." +
             (experts > shown ? fmt::format(" The first {} of {} experts.", shown, experts) : "")},
        vocabulary, counts, std::min(experts, shown));
    if (map) maps.push_back(draw(*map));
  }
  if (maps.empty()) return page.text("No tag occurs more often with one expert than by chance.");
  page.drawings(maps);
}

}  // namespace

bool is_sparse_model(const fs::path& folder) {
  const fs::path record = folder / "stage.json";
  return path_exists(record) && read_stage_record(record).value("command", "") == command;
}

SparseModel open_sparse_model(const fs::path& folder, const fs::path& dataset) {
  const Json record = read_stage_record(folder / "stage.json");
  if (!record.value("done", false)) {
    fail_usage("{}: its training is not finished; let {} go on first", folder.string(), command);
  }
  const fs::path plain = folder.has_filename() ? folder : folder.parent_path();
  SparseModel shown{folder, plain.filename().string(), load_model(folder),
                    stage_results(folder, command), std::nullopt};
  if (dataset.empty()) return shown;
  shown.dataset = Dataset::open(dataset);
  if (stage_inputs(folder, command).value("dataset", Json()) != shown.dataset->fingerprint()) {
    fail_usage("--dataset {}: is not the dataset that {} was trained on", dataset.string(),
               folder.string());
  }
  return shown;
}

void add_sparse_model(const SparseModel& shown, Engine& engine, Page& page) {
  const SparseConfig& layers = shown.model.card.model.sparse;
  page.heading(2, "Model " + shown.name);
  page.text(fmt::format("{}, {} of {} experts for each {}.", name_of(shown.model.card.model),
                        layers.chosen, layers.experts,
                        layers.kind == SparseKind::vmoe ? "token" : "image"));
  add_learning(shown, page);
  if (!shown.dataset || !shown.dataset->has_split(evaluated_split)) {
    return page.note(shown.dataset ? "Quality and tags are left out: the dataset has no split val."
                                   : "Quality and tags are left out: no dataset was named "
                                     "(--dataset).");
  }
  const Split& split = shown.dataset->split(evaluated_split);
  page.heading(3, "Quality");
  add_quality(shown, split, engine, page);
  add_experts_of(chosen_experts(engine, shown.model, split, Precision::fp32), split,
                 shown.dataset->vocabulary(), page);
}

}  // namespace hardmoe
