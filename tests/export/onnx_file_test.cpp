// The form of ONNX files, read by the classes of ONNX's schema: a graph in order, whose experts read
// their own rows only.
#include <gtest/gtest.h>
#include <onnx.pb.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "expect_error.h"
#include "export/model_file.h"
#include "export/onnx_model.h"
#include "small_mixtures.h"

namespace hardmoe {
namespace {

onnx::ModelProto read_model(const std::filesystem::path& file) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(read_file(file))) << file;
  return model;
}

/// Expects that every value is there before it is read, and that no name is given twice. `known`:
/// values of the graphs around.
void expect_in_order(const onnx::GraphProto& graph, std::set<std::string> known,
                     std::set<std::string>& given) {
  const auto give = [&](const std::string& name) {
    EXPECT_TRUE(given.insert(name).second) << name << " is given twice";
    known.insert(name);
  };
  for (const auto& input : graph.input()) give(input.name());
  for (const auto& constant : graph.initializer()) give(constant.name());
  for (const auto& node : graph.node()) {
    for (const auto& input : node.input()) {
      EXPECT_TRUE(input.empty() || known.contains(input)) << node.name() << " reads " << input;
    }
    for (const auto& part : node.attribute()) {
      if (part.has_g()) expect_in_order(part.g(), known, given);
    }
    for (const auto& output : node.output()) give(output);
  }
  for (const auto& output : graph.output()) EXPECT_TRUE(known.contains(output.name()));
}

void expect_in_order(const onnx::ModelProto& model) {
  std::set<std::string> given;
  expect_in_order(model.graph(), {}, given);
  ASSERT_EQ(model.opset_import_size(), 1);
  EXPECT_EQ(model.opset_import(0).domain(), "");
  EXPECT_EQ(model.opset_import(0).version(), 18);
}

std::map<std::string, std::string> metadata_of(const onnx::ModelProto& model) {
  std::map<std::string, std::string> texts;
  for (const auto& entry : model.metadata_props()) texts[entry.key()] = entry.value();
  return texts;
}

/// "batch×3×32×32".
std::string extents_of(const onnx::ValueInfoProto& value) {
  std::string text;
  for (const auto& extent : value.type().tensor_type().shape().dim()) {
    text += text.empty() ? "" : "×";
    text += extent.has_dim_param() ? extent.dim_param() : std::to_string(extent.dim_value());
  }
  return text;
}

class OnnxFile : public testing::Test {
 protected:
  static constexpr int64_t tags = 3;

  OnnxFile() {
    const Network network = resnet(small_model(), tags);
    mixture.base = {{small_model(), tags, "", {}}, closed_form_weights(network, "base ")};
    std::filesystem::create_directories(folder / "expert");
    save_model(folder / "expert", mixture.base);
  }

  /// Gives the mixture so many experts, all of the same weights.
  void set_experts(int64_t count) {
    Gater& gater = mixture.partition.gater;
    gater.experts = count;
    gater.inputs = 64;
    gater.prices.assign(static_cast<size_t>(count), 0);
    gater.centroids = reference_parameter("centroids", {count, 64});
    mixture.experts.assign(static_cast<size_t>(count), folder / "expert");
    mixture.losses.assign(static_cast<size_t>(count), LossKind::softmax);
  }

  onnx::ModelProto written(const ModelFileForm& form) {
    const auto names =
        write_mixture_file(folder / "mixture.onnx", mixture, {},
                           Vocabulary{{"sea", "black & white", "Straße"}, {3, 2, 1}}, form);
    EXPECT_EQ(names, std::vector<std::string>{"mixture.onnx"});
    return read_model(folder / "mixture.onnx");
  }

  TemporaryFolder folder;
  Mixture mixture;
};

TEST_F(OnnxFile, TellsWhatItTakesAndGives) {
  set_experts(3);
  const auto model = written({});
  expect_in_order(model);
  ASSERT_EQ(model.graph().input_size(), 1);
  EXPECT_EQ(model.graph().input(0).name(), "images");
  EXPECT_EQ(extents_of(model.graph().input(0)), "batch×3×32×32");
  std::map<std::string, std::string> outputs;
  for (const auto& output : model.graph().output()) outputs[output.name()] = extents_of(output);
  EXPECT_EQ(outputs,
            (std::map<std::string, std::string>{
                {"probabilities", "batch×3"}, {"expert", "batch"}, {"embedding", "batch×64"}}));
  const auto texts = metadata_of(model);
  EXPECT_EQ(texts.at("tags"), "sea\nblack & white\nStraße");
  EXPECT_EQ(texts.at("experts"), "3");
  EXPECT_EQ(texts.at("preprocessing"), "outside");
  EXPECT_EQ(texts.at("image_size"), "32");
}

TEST_F(OnnxFile, TakesWholeImagesWherePreprocessingIsInside) {
  set_experts(3);
  for (const bool one_image : {false, true}) {
    const auto model = written({.one_image = one_image, .preprocessing = true});
    expect_in_order(model);
    EXPECT_EQ(extents_of(model.graph().input(0)),
              std::string(one_image ? "1" : "batch") + "×height×width×3");
    EXPECT_EQ(model.graph().input(0).type().tensor_type().elem_type(), onnx::TensorProto::UINT8);
    EXPECT_EQ(metadata_of(model).at("preprocessing"), "inside");
  }
}

TEST_F(OnnxFile, HasEachExpertReadItsOwnRowsOnly) {
  set_experts(3);
  const auto model = written({});
  std::set<std::string> constants;
  for (const auto& constant : model.graph().initializer()) constants.insert(constant.name());
  std::map<std::string, std::set<std::string>> read;  // by expert, what is not its own
  std::map<std::string, int> convolutions;
  for (const auto& node : model.graph().node()) {
    if (!node.name().starts_with("experts.")) continue;
    const std::string own = node.name().substr(0, std::string("experts.0.").size());
    if (node.op_type() == "Conv") ++convolutions[own];
    for (const auto& input : node.input()) {
      if (!input.starts_with(own) && !constants.contains(input)) read[own].insert(input);
    }
  }
  EXPECT_EQ(convolutions.size(), 3U);
  for (const auto& [own, count] : convolutions) {
    EXPECT_EQ(count, 20);  // of a ResNet-18
    // The expert's number, from which its mask is made, and the images, of which Compress takes its.
    EXPECT_EQ(read[own].size(), 2U) << own;
  }
  int compressed = 0;
  for (const auto& node : model.graph().node()) {
    if (node.name().ends_with(".images")) compressed += node.op_type() == "Compress" ? 1 : 0;
  }
  EXPECT_EQ(compressed, 3);
}

int depth_of(const onnx::GraphProto& graph, std::map<std::string, int>& convolutions) {
  int deepest = 0;
  for (const auto& node : graph.node()) {
    if (node.op_type() == "Conv") ++convolutions[node.name().substr(0, node.name().find(".conv1"))];
    for (const auto& part : node.attribute()) {
      if (part.has_g()) deepest = std::max(deepest, 1 + depth_of(part.g(), convolutions));
    }
  }
  return deepest;
}

TEST_F(OnnxFile, ChoosesAmongManyExpertsByABalancedTree) {
  set_experts(70);
  const auto model = written({.one_image = true});
  expect_in_order(model);
  EXPECT_EQ(extents_of(model.graph().input(0)), "1×3×32×32");
  std::map<std::string, int> first;
  EXPECT_EQ(depth_of(model.graph(), first), 7);
  for (int k = 0; k < 70; ++k) EXPECT_EQ(first[fmt::format("experts.{}", k)], 1) << k;
}

TEST_F(OnnxFile, KeepsWeightsUnderTorchvisionsNames) {
  const Model& model = mixture.base;
  write_model_file(folder / "model.onnx", model, std::nullopt, {});
  const auto file = read_model(folder / "model.onnx");
  expect_in_order(file);
  size_t found = 0;
  for (const auto& constant : file.graph().initializer()) {
    if (!constant.name().starts_with("model.")) continue;
    const Tensor& weight = model.weights.at(constant.name().substr(6));
    ASSERT_EQ(constant.raw_data().size(), weight.bytes()) << constant.name();
    EXPECT_EQ(std::memcmp(constant.raw_data().data(), weight.data(), weight.bytes()), 0);
    EXPECT_EQ((Shape{constant.dims().begin(), constant.dims().end()}), weight.shape());
    ++found;
  }
  EXPECT_EQ(found, model.weights.size());
}

TEST_F(OnnxFile, IsTheSameBytesAgain) {
  set_experts(3);
  written({});
  const std::string once = read_file(folder / "mixture.onnx");
  written({});
  EXPECT_EQ(read_file(folder / "mixture.onnx"), once);
}

TEST_F(OnnxFile, PutsManyWeightsIntoASecondFile) {
  const auto small = Tensor::from(std::vector<float>{1, 2, 3}, {3});
  const std::vector<Tensor> large = {reference_parameter("a", {700}),
                                     reference_parameter("b", {9, 99})};
  {
    OnnxModel model(folder / "large.onnx", "graph", most_bytes_inside);
    model.graph().constant(small, "small");
    for (const Tensor& tensor : large) model.graph().constant(tensor, "large");
    EXPECT_FALSE(std::filesystem::exists(folder / "large.onnx.data"));
    EXPECT_EQ(model.save(), (std::vector<std::string>{"large.onnx", "large.onnx.data"}));
  }
  const auto model = read_model(folder / "large.onnx");
  const std::string data = read_file(folder / "large.onnx.data");
  ASSERT_EQ(model.graph().initializer_size(), 3);
  EXPECT_EQ(model.graph().initializer(0).raw_data().size(), small.bytes());
  for (int i = 0; i < 2; ++i) {
    const auto& constant = model.graph().initializer(i + 1);
    EXPECT_EQ(constant.data_location(), onnx::TensorProto::EXTERNAL);
    EXPECT_FALSE(constant.has_raw_data());
    std::map<std::string, std::string> where;
    for (const auto& entry : constant.external_data()) where[entry.key()] = entry.value();
    EXPECT_EQ(where.at("location"), "large.onnx.data");
    const size_t offset = std::stoul(where.at("offset")), length = std::stoul(where.at("length"));
    const Tensor& tensor = large[static_cast<size_t>(i)];
    EXPECT_EQ(offset % 4096, 0U);
    ASSERT_EQ(length, tensor.bytes());
    ASSERT_LE(offset + length, data.size());
    EXPECT_EQ(std::memcmp(data.data() + offset, tensor.data(), length), 0);
  }
}

TEST_F(OnnxFile, LeavesNothingWhereItIsNotSaved) {
  {
    OnnxModel model(folder / "given-up.onnx", "graph", most_bytes_inside);
    model.graph().constant(reference_parameter("a", {700}), "large");
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().filename(), "expert");
  }
}

TEST_F(OnnxFile, IsRefusedToWhatCannotRoute) {
  set_experts(3);
  mixture.external_embedding = true;
  expect_error([&] { written({}); }, {"external embedding", "--router", "--expert"},
               ExitStatus::usage);
  mixture.external_embedding = false;
  mixture.partition.gater.kind = PartitionMethod::random;
  expect_error([&] { written({}); }, {"random", "image's number", "--expert"}, ExitStatus::usage);
  EXPECT_FALSE(std::filesystem::exists(folder / "mixture.onnx"));
}

}  // namespace
}  // namespace hardmoe
