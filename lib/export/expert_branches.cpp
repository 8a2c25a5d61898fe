#include "export/expert_branches.h"

#include <fmt/format.h>

namespace hardmoe {
namespace {

/// Returns the answers of experts `first` … `end` − 1, one of which `chosen` names.
std::vector<std::string> write_tree(OnnxGraph& graph, const ExpertAnswers& asked,
                                    const std::string& chosen, int64_t first, int64_t end) {
  if (end - first == 1) return asked.write(graph, first, asked.input);
  const int64_t middle = first + (end - first) / 2;
  std::vector<OnnxValue> values;
  for (size_t a = 0; a < asked.names.size(); ++a) {
    values.push_back({asked.names[a], OnnxElement::f32, {int64_t{1}, asked.widths[a]}});
  }
  return graph.choose(
      graph.node("Less", {chosen, graph.scalar(middle)}),
      [&](OnnxGraph& branch) { return write_tree(branch, asked, chosen, first, middle); },
      [&](OnnxGraph& branch) { return write_tree(branch, asked, chosen, middle, end); }, values);
}

std::vector<std::string> write_by_rows(OnnxGraph& graph, const ExpertAnswers& asked) {
  const std::vector<OnnxAttribute> along_rows = {{"axis", int64_t{0}}};
  const std::string count = graph.node("Shape", {asked.chosen});
  const std::string rows = graph.node(
      "Range", {graph.scalar(int64_t{0}), graph.node("Squeeze", {count}), graph.scalar(int64_t{1})},
      {}, "rows");
  std::vector<std::string> rows_of;
  std::vector<std::vector<std::string>> answers(asked.widths.size());
  for (int64_t k = 0; k < asked.experts; ++k) {
    const std::string mask =
        graph.node("Equal", {asked.chosen, graph.scalar(k)}, {}, fmt::format("experts.{}.mask", k));
    rows_of.push_back(graph.node("Compress", {rows, mask}, along_rows));
    const std::string own = graph.node("Compress", {asked.input, mask}, along_rows,
                                       fmt::format("experts.{}.images", k));
    const auto given = asked.write(graph, k, own);
    for (size_t a = 0; a < answers.size(); ++a) answers[a].push_back(given.at(a));
  }
  const std::string order =
      graph.node("Unsqueeze", {graph.node("Concat", rows_of, along_rows), graph.integers({1})});
  std::vector<std::string> scattered;
  for (size_t a = 0; a < answers.size(); ++a) {
    const std::string shape =
        graph.node("Concat", {count, graph.integers({asked.widths[a]})}, along_rows);
    const std::string empty = graph.node("ConstantOfShape", {shape});
    scattered.push_back(graph.node("ScatterND",
                                   {empty, order, graph.node("Concat", answers[a], along_rows)}, {},
                                   asked.names[a]));
  }
  return scattered;
}

}  // namespace

std::vector<std::string> write_experts(OnnxGraph& graph, const ExpertAnswers& asked,
                                       ExpertForm form) {
  if (form == ExpertForm::rows) return write_by_rows(graph, asked);
  return write_tree(graph, asked, graph.node("Squeeze", {asked.chosen}), 0, asked.experts);
}

}  // namespace hardmoe
