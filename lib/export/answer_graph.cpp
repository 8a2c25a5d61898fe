#include "export/answer_graph.h"

namespace hardmoe {

std::string write_probabilities(OnnxGraph& graph, LossKind loss, const std::string& logits) {
  if (loss == LossKind::sigmoid) return graph.node("Sigmoid", {logits});
  return graph.node("Softmax", {logits}, {{"axis", int64_t{-1}}});
}

std::string write_blend(OnnxGraph& graph, double share, const std::string& a,
                        const std::string& b) {
  const std::string first = graph.node("Mul", {a, graph.scalar(static_cast<float>(share))});
  const std::string second = graph.node("Mul", {b, graph.scalar(static_cast<float>(1 - share))});
  return graph.node("Add", {first, second}, {}, "blend");
}

std::string write_embedding(OnnxGraph& graph, EmbeddingKind kind, double share,
                            const std::string& base, const std::string& expert) {
  switch (kind) {
    case EmbeddingKind::expert:
      return expert;
    case EmbeddingKind::blend:
      return write_blend(graph, share, base, expert);
    case EmbeddingKind::both:
      return graph.node("Concat", {base, expert}, {{"axis", int64_t{1}}});
  }
  return expert;
}

}  // namespace hardmoe
