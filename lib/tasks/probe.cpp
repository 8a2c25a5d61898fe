#include "tasks/probe.h"

#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/text.h"
#include "moe/embedding.h"
#include "moe/retrieval.h"
#include "tasks/results.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

/// Reads the rows of a split's images. Throws Error(usage) if their number differs.
Tensor read_rows(const std::vector<std::string>& files, const Split& split) {
  const Embedding embedding({files.begin(), files.end()});
  if (embedding.rows() != split.size()) {
    fail_usage("{}: {} rows, but split '{}' has {} images; give one row an image", files[0],
               embedding.rows(), split.name(), split.size());
  }
  Tensor rows = Tensor::uninitialized(DType::f32, {embedding.rows(), embedding.cols()});
  embedding.read(0, embedding.rows(), rows.as<float>().data());
  return rows;
}

std::vector<uint16_t> read_experts(const std::string& file, const Split& split) {
  require_file(file, "moe-eval --out writes it for a mixture", ExitStatus::usage);
  require_as_recorded(file);
  const Tensor experts = load_npy(file);
  if (experts.dtype() != DType::u16 || experts.shape() != Shape{split.size()}) {
    fail_usage("{}: {} {}, expected uint16 {}, an expert for each image of split '{}'", file,
               name_of(experts.dtype()), to_string(experts.shape()), split.size(), split.name());
  }
  return {experts.as<uint16_t>().begin(), experts.as<uint16_t>().end()};
}

/// Returns whether leaf tags are the truth's.
bool by_truth(const std::string& labels, const Split& split, const Split* train) {
  const bool has = split.has_truth() && (train == nullptr || train->has_truth());
  if (labels.empty()) return has;
  if (labels != "tags" && labels != "truth") {
    fail_usage("--labels: expected tags or truth, found {}", labels);
  }
  if (labels == "truth" && !has) fail_usage("--labels truth: the dataset has none; use tags");
  return labels == "truth";
}

Json retrieval_json(const Retrieval& found, int64_t k) {
  const auto mean = [&](double value) { return found.queries > 0 ? Json(value) : Json(nullptr); };
  return {{"queries", found.queries},
          {fmt::format("precision@{}", k), mean(found.precision)},
          {fmt::format("recall@{}", k), mean(found.recall)},
          {fmt::format("hit@{}", k), mean(found.hit)}};
}

/// The rows that have a leaf tag, and these.
struct Labelled {
  Tensor rows;
  std::vector<int32_t> leaf;
};

Labelled labelled(const Tensor& rows, const std::vector<int32_t>& leaf) {
  Labelled kept;
  const auto width = static_cast<size_t>(rows.size(1));
  std::vector<float> values;
  for (size_t i = 0; i < leaf.size(); ++i) {
    if (leaf[i] < 0) continue;
    const auto row = rows.as<float>().subspan(i * width, width);
    values.insert(values.end(), row.begin(), row.end());
    kept.leaf.push_back(leaf[i]);
  }
  kept.rows = Tensor::from(values, {std::ssize(kept.leaf), rows.size(1)});
  return kept;
}

/// Trains on `train`, and returns the share of the images of `tested` whose leaf tag it finds.
Json probe_json(const Labelled& train, const Labelled& tested, const ProbeOptions& options) {
  if (train.rows.size(1) != tested.rows.size(1)) {
    fail_usage("--train: rows of {} values, those of EMBEDDING have {}; embed both alike",
               train.rows.size(1), tested.rows.size(1));
  }
  const Standardisation scaling(matrix_view(train.rows));
  const Tensor rows = scaling.apply(matrix_view(train.rows));
  const LinearProbe probe = train_probe(matrix_view(rows), train.leaf, options);
  const Tensor others = scaling.apply(matrix_view(tested.rows));
  const auto predicted = probe.predict(matrix_view(others));
  int64_t right = 0;
  for (size_t i = 0; i < predicted.size(); ++i) right += predicted[i] == tested.leaf[i] ? 1 : 0;
  const auto images = std::ssize(predicted);
  return {
      {"images", images},
      {"classes", probe.classes.size()},
      {"trained_on", train.leaf.size()},
      {"accuracy", images == 0 ? Json(nullptr)
                               : Json(static_cast<double>(right) / static_cast<double>(images))}};
}

std::string number(const Json& value) {
  return value.is_null() ? "–" : fmt::format("{:.4f}", value.get<double>());
}

std::string probe_text(const Json& results, int64_t k) {
  std::vector<std::vector<std::string>> rows = {
      {"retrieval", "queries", fmt::format("precision@{}", k), fmt::format("recall@{}", k),
       fmt::format("hit@{}", k)}};
  for (const char* name : {"all", "across_experts"}) {
    if (!results.contains(name)) continue;
    std::vector<std::string> row = {std::string(name) == "all" ? "among all" : "across experts"};
    for (const auto& [key, value] : results[name].items()) {
      row.push_back(key == "queries" ? value.dump() : number(value));
    }
    rows.push_back(std::move(row));
  }
  std::string text = format_table(rows);
  if (!results.contains("linear_probe")) return text;
  const Json& probe = results["linear_probe"];
  return text + fmt::format("linear probe: accuracy {} of {} images, {} leaf tags, trained on {}\n",
                            number(probe["accuracy"]), probe["images"].dump(),
                            probe["classes"].dump(), probe["trained_on"].dump());
}

}  // namespace

std::string probe_embedding(const ProbeTask& task, const Config& config) {
  if (task.neighbours < 1)
    fail_usage("--neighbours: expected 1 or more, found {}", task.neighbours);
  if (task.probe.l2 < 0) fail_usage("--l2: expected 0 or more, found {}", task.probe.l2);
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& split = dataset.split(config.eval.split);
  const Split* train = task.train.empty() ? nullptr : &dataset.split(task.train_split);
  const bool truth = by_truth(task.labels, split, train);
  const Tensor rows = read_rows(task.features, split);
  const auto leaf = leaf_tags(split, truth);
  Json results = {{"split", split.name()},
                  {"labels", truth ? "truth" : "tags"},
                  {"dimensions", rows.size(1)},
                  {"all", retrieval_json(retrieval(matrix_view(rows), leaf, task.neighbours),
                                         task.neighbours)}};
  if (!task.assignment.empty()) {
    const auto experts = read_experts(task.assignment, split);
    results["across_experts"] = retrieval_json(
        retrieval(matrix_view(rows), leaf, task.neighbours, Neighbours::of_other_experts, experts),
        task.neighbours);
  }
  if (train != nullptr) {
    const Labelled trained = labelled(read_rows(task.train, *train), leaf_tags(*train, truth));
    results["linear_probe"] = probe_json(trained, labelled(rows, leaf), task.probe);
  }
  return task.json ? result_line(results) : probe_text(results, task.neighbours);
}

}  // namespace hardmoe
