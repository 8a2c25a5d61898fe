#include "export/view_graph.h"

namespace hardmoe {
namespace {

constexpr int64_t type_float = 1, type_int64 = 7, type_double = 11;  // TensorProto's numbers

std::string cast(OnnxGraph& graph, const std::string& value, int64_t type) {
  return graph.node("Cast", {value}, {{"to", type}});
}

/// Returns the side of the middle square, int64 of one element: `share` of the short one, rounded.
std::string square_side(OnnxGraph& graph, const std::string& extents, double share) {
  const std::string short_side =
      graph.node("ReduceMin", {extents}, {{"keepdims", int64_t{1}}}, "short_side");
  if (share == 1) return short_side;
  const auto number = [&](double value) {
    return graph.constant(Tensor::from(std::vector<double>{value}, {1}));
  };
  const std::string scaled =
      graph.node("Mul", {cast(graph, short_side, type_double), number(share)});
  const std::string rounded = cast(graph, graph.node("Add", {scaled, number(0.5)}), type_int64);
  return graph.node("Max", {rounded, graph.integers({1})});
}

}  // namespace

std::string write_views(OnnxGraph& graph, const ModelConfig& model, const std::string& images) {
  const std::string shape =
      graph.node("Shape", {images}, {{"start", int64_t{1}}, {"end", int64_t{3}}});
  const std::string side = square_side(graph, shape, model.input.crop_share);
  const std::string begin =
      graph.node("Div", {graph.node("Sub", {shape, side}), graph.integers({2})});
  const std::string end = graph.node("Add", {begin, side});
  const std::string square =
      graph.node("Slice", {images, begin, end, graph.integers({1, 2})}, {}, "square");
  const std::string planes =
      graph.node("Transpose", {square}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  const int64_t size = model.image_size;
  const std::string extents =
      graph.node("Concat",
                 {graph.node("Shape", {planes}, {{"start", int64_t{0}}, {"end", int64_t{2}}}),
                  graph.integers({size, size})},
                 {{"axis", int64_t{0}}});
  // Of bytes, as Pillow resamples: what lies outside has no weight, and each pass is rounded. All
  // four extents: ONNX Runtime 1.32 takes a Resize of some axes behind a Transpose for an error.
  const std::string view =
      graph.node("Resize", {planes, "", "", extents},
                 {{"mode", std::string("linear")},
                  {"coordinate_transformation_mode", std::string("half_pixel")},
                  {"antialias", int64_t{1}},
                  {"exclude_outside", int64_t{1}}},
                 "view");
  return graph.node("Div", {cast(graph, view, type_float), graph.scalar(255.0F)}, {}, "colours");
}

bool is_same_view(const ModelConfig& a, const ModelConfig& b) {
  return a.image_size == b.image_size && a.input.crop_share == b.input.crop_share;
}

}  // namespace hardmoe
