// cuDNN plans for GPUs that are not here: every convolution of every shipped model, and of the
// operators' table, has a plan on each GPU that tests/files/devices describes. cuDNN itself says
// so; nothing runs. Beside a GPU of another kind cuDNN plans for that one, or not at all: left out then.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "engine/cuda/conv.h"
#include "engine/cuda/layer.h"
#include "engine/cuda/plan_key.h"
#include "engine/operator_cases.h"
#include "expect_error.h"
#include "gpu/devices.h"
#include "nn/resnet.h"
#include "test_files.h"

namespace hardmoe::cuda {
namespace {

std::vector<std::filesystem::path> described_devices() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(test_files().string() + "/devices")) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct Passes {
  Precision precision;
  bool training;
  bool deterministic;
};

/// The requests that a program of the network makes, each once.
void add_requests(const Network& network, int64_t batch, const Passes& passes,
                  std::vector<ConvRequest>& requests, std::set<std::string>& seen) {
  const Graph graph = make_graph(network, {.mode = passes.training ? Mode::train : Mode::infer});
  const std::vector<int64_t> held = held_channels(graph);
  const auto add = [&](ConvPass pass, const ConvShape& shape) {
    const ConvRequest request{pass, shape, passes.precision, passes.deterministic};
    if (seen.insert(plan_key({}, request)).second) requests.push_back(request);
  };
  for (const Node& node : graph.nodes) {
    const auto* conv = std::get_if<Conv>(&node.op);
    if (conv == nullptr) continue;
    const auto input = static_cast<size_t>(node.inputs[0]);
    const auto output = static_cast<size_t>(node.output);
    const ConvShape shape = conv_shape(conv->window, graph.types[input].extent, held[input],
                                       graph.types[output].extent, held[output], batch);
    add(ConvPass::forward, shape);
    if (!passes.training) continue;
    add(ConvPass::weight_gradient, shape);
    if (graph.trained_values[input]) add(ConvPass::data_gradient, shape);
  }
}

/// `precisions`: the models in each; the operators' table in the last.
std::vector<ConvRequest> requests_of_models(const std::vector<Precision>& precisions) {
  std::vector<ConvRequest> requests;
  std::set<std::string> seen;
  for (const Precision precision : precisions) {
    const Passes passes{precision, true, precision != Precision::tf32};
    for (const int depth : {18, 34, 50}) {
      add_requests(resnet({depth, Stem::imagenet, 64, 224}, 1000), 256, passes, requests, seen);
      add_requests(resnet({depth, Stem::small, 64, 32}, 100), 128, passes, requests, seen);
    }
    // Odd widths and sizes, a single image.
    add_requests(resnet({18, Stem::imagenet, 20, 97}, 7), 1, passes, requests, seen);
  }
  for (const OperatorCase& c : operator_cases()) {
    add_requests(c.network, c.batch, {precisions.back(), true, false}, requests, seen);
  }
  return requests;
}

/// Returns why cuDNN is not asked for plans for the GPU described; empty if it is.
std::string reason_not_to_plan(const std::string& description) {
  try {
    const int described = parse_json(description, "description").at("deviceVer").get<int>() / 10;
    for (const CudaDevice& here : cuda_devices()) {
      if (here.capability != described) return "beside another GPU, " + here.name;
    }
  } catch (const Error&) {  // no GPU here
  }
  return "";
}

class DevicePlans : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(DevicePlans, EveryLayerHasOne) {
  const std::string device = read_file(GetParam());
  if (const std::string why = reason_not_to_plan(device); !why.empty()) GTEST_SKIP() << why;
  // Half a minute for all precisions; one GPU stands for the others.
  const bool all = GetParam().stem() == "h100";
  const auto requests =
      requests_of_models(all ? std::vector{Precision::fp32, Precision::tf32, Precision::bf16}
                             : std::vector{Precision::bf16});
  EXPECT_GT(requests.size(), 200U);
  for (const ConvRequest& request : requests) {
    EXPECT_FALSE(conv_plans_without_gpu(device, request, 1).empty())
        << plan_key({GetParam().stem(), 0, ""}, request);
  }
}

INSTANTIATE_TEST_SUITE_P(Described, DevicePlans, testing::ValuesIn(described_devices()),
                         [](const auto& file) { return file.param.stem().string(); });

// What the precision and the user forbid leaves fewer plans, never others.
TEST(PlanChoice, PrecisionAndDeterminismForbidEngines) {
  const std::string device = read_file(test_files().string() + "/devices/h100.json");
  if (const std::string why = reason_not_to_plan(device); !why.empty()) GTEST_SKIP() << why;
  const ConvShape shape{64, 28, 28, 128, 28, 28, 128, 3, 1, 1};
  const auto names = [&](ConvPass pass, Precision precision, bool deterministic) {
    const auto all = conv_plans_without_gpu(device, {pass, shape, precision, deterministic}, 1000);
    return std::set<std::string>(all.begin(), all.end());
  };
  for (const ConvPass pass :
       {ConvPass::forward, ConvPass::data_gradient, ConvPass::weight_gradient}) {
    const auto rounded = names(pass, Precision::tf32, false);
    const auto exact = names(pass, Precision::fp32, false);
    EXPECT_LT(exact.size(), rounded.size());
    EXPECT_TRUE(std::includes(rounded.begin(), rounded.end(), exact.begin(), exact.end()));
    const auto same = names(pass, Precision::fp32, true);
    EXPECT_LE(same.size(), exact.size());
    EXPECT_TRUE(std::includes(exact.begin(), exact.end(), same.begin(), same.end()));
  }
  // Adding up a weight gradient in any order is what some engines do.
  EXPECT_LT(names(ConvPass::weight_gradient, Precision::fp32, true).size(),
            names(ConvPass::weight_gradient, Precision::fp32, false).size());
}

TEST(PlanChoice, ADescriptionThatIsNoneIsRefused) {
  for (const std::string text : {"{}", "", "no JSON", "{\"deviceVer\": 900}"}) {
    expect_error([&] { conv_plans_without_gpu(text, {}, 1); },
                 {"description of a GPU", "moe-device --save-description"}, ExitStatus::usage);
  }
}

}  // namespace
}  // namespace hardmoe::cuda
