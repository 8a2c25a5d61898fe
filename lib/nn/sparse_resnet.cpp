#include "nn/sparse_resnet.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "nn/resnet_builder.h"

namespace hardmoe {
namespace {

constexpr int blocks_of_expert = 2;
constexpr double noise_floor = 1e-2;

/// Appends the operators of one stage of experts.
class StageBuilder {
 public:
  StageBuilder(const SparseConfig& sparse, std::string name, SparseNetwork& built)
      : sparse_(sparse), name_(std::move(name)), built_(built) {}

  /// Returns the number of the output. `in`, `out`: channels of the stage's input and output.
  int build(int input, int64_t in, int64_t out, int64_t inner, int stride) {
    const int gates = gate(input, in);
    const int routing = append("route", ".gate", {gates}, {{"chosen", sparse_.chosen}});
    int value = append("dispatch", ".dispatch", {input, routing}, {{"experts", sparse_.experts}});
    int64_t channels = in;
    for (int number = 0; number < blocks_of_expert; ++number) {
      value = block(value, routing, fmt::format(".experts.{}", number), channels, inner, out,
                    number == 0 ? stride : 1);
      channels = out;
    }
    return append("combine", ".combine", {value, gates, routing}, {});
  }

 private:
  using Attributes = std::map<std::string, double>;

  int append(const char* type, const std::string& name, std::vector<int> inputs,
             Attributes attributes) {
    return built_.network.append({type, name_ + name, std::move(inputs), std::move(attributes)});
  }

  int conv_norm(int value, int routing, const std::string& conv, const std::string& norm,
                int64_t channels, int kernel, int stride) {
    const double experts = sparse_.experts;
    value = append("expert_conv", conv, {value, routing},
                   {{"channels", static_cast<double>(channels)},
                    {"experts", experts},
                    {"kernel", kernel},
                    {"stride", stride},
                    {"padding", kernel / 2}});
    return append("expert_norm", norm, {value, routing}, {{"experts", experts}});
  }

  int relu(int value) { return append("relu", ".relu", {value}, {}); }

  /// A basic block, all experts' at once.
  int block(int input, int routing, const std::string& name, int64_t in, int64_t inner, int64_t out,
            int stride) {
    int value = relu(conv_norm(input, routing, name + ".conv1", name + ".bn1", inner, 3, stride));
    value = conv_norm(value, routing, name + ".conv2", name + ".bn2", out, 3, 1);
    int shortcut = input;
    if (stride != 1 || in != out) {
      shortcut =
          conv_norm(input, routing, name + ".downsample.0", name + ".downsample.1", out, 1, stride);
    }
    return relu(append("add", name, {value, shortcut}, {}));
  }

  /// Returns the gates, of which all but the chosen experts' are 0, and adds their losses.
  int gate(int input, int64_t in) {
    if (sparse_.gate == GateInput::conv) {
      input = append(
          "conv", ".gate.conv", {input},
          {{"channels", static_cast<double>(in)}, {"kernel", 3}, {"stride", 1}, {"padding", 1}});
    }
    const int pooled = append("global_avg_pool", ".gate.pool", {input}, {});
    // Shazeer et al. 2017, eq. 4: no bias, and all weights begin at 0, so that at first noise alone
    // decides. Without noise they must not, or no image would ever reach another expert.
    const bool shazeer = sparse_.kind == SparseKind::shazeer;
    Attributes fc = {{"channels", sparse_.experts}};
    if (shazeer) fc["bias"] = 0;
    if (shazeer && sparse_.noise) fc["deviation"] = 0;
    const int logits = append("linear", ".gate.fc", {pooled}, fc);
    int noisy = logits, sigma = -1;
    if (sparse_.noise) {
      const int raw = append("linear", ".gate.noise", {pooled},
                             {{"channels", sparse_.experts}, {"bias", 0}, {"deviation", 0}});
      sigma = append("softplus", ".gate.sigma", {raw},
                     {{"shift", shazeer ? 0 : noise_floor}, {"floor", shazeer ? noise_floor : 0}});
      noisy = append("scaled_noise", ".gate.noisy", {logits, sigma}, {});
    }
    const int gates = append("top_k", ".gate.top_k", {noisy},
                             {{"k", sparse_.chosen},
                              {"softmax", 1},
                              {"constraint", static_cast<double>(sparse_.constraint)},
                              {"limit", sparse_.limit}});
    add_losses(logits, noisy, sigma, gates);
    return gates;
  }

  void add_losses(int logits, int noisy, int sigma, int gates) {
    using Kind = GateLoss::Kind;
    const auto add = [&](Kind kind, double weight, const char* name, int value) {
      built_.losses.push_back({.kind = kind,
                               .weight = weight,
                               .name = fmt::format("{}/{}", name, name_),
                               .value = value});
      return &built_.losses.back();
    };
    if (sparse_.importance > 0) {
      add(Kind::importance, sparse_.importance, "importance", gates)->ddof =
          sparse_.kind == SparseKind::pavlitska ? 1 : 0;
    }
    if (sparse_.divergence > 0) add(Kind::divergence, sparse_.divergence, "divergence", gates);
    if (sparse_.load == 0) return;
    GateLoss& load = *add(Kind::load, sparse_.load, "load", logits);
    load.noisy = noisy;
    load.sigma = sigma;
    load.k = sparse_.chosen;
  }

  const SparseConfig& sparse_;
  std::string name_;
  SparseNetwork& built_;
};

bool has_shortcut(int64_t in, int64_t out, int stage) { return stage > 1 || in != out; }

/// Returns the multiply-adds of a dense stage for each of its output's positions.
double dense_products(const ModelConfig& config, int stage) {
  const ResnetPlan& plan = resnet_plan(config.depth);
  const auto in = static_cast<double>(channels_behind(config, stage - 1)),
             out = static_cast<double>(channels_behind(config, stage)),
             inner = static_cast<double>(channels_of(config, stage));
  const int blocks = plan.blocks[static_cast<size_t>(stage - 1)];
  const double shortcut =
      has_shortcut(channels_behind(config, stage - 1), channels_behind(config, stage), stage)
          ? in * out
          : 0;
  if (!plan.bottleneck) {
    return 9 * inner * (in + out) + 18 * inner * out * (blocks - 1) + shortcut;
  }
  const double first = stage > 1 ? 4 * in * inner : in * inner;  // before the stride
  const double behind = 9 * inner * inner + inner * out;
  return first + behind + shortcut + (blocks - 1) * (out * inner + behind);
}

}  // namespace

int matched_channels(const ModelConfig& config, int stage, int chosen) {
  const int64_t in = channels_behind(config, stage - 1), out = channels_behind(config, stage);
  const double shortcut = has_shortcut(in, out, stage) ? static_cast<double>(in * out) : 0;
  const double each = dense_products(config, stage) / chosen - shortcut;
  return static_cast<int>(
      std::max(1LL, std::llround(each / static_cast<double>(9 * (in + 3 * out)))));
}

SparseNetwork sparse_resnet(const ModelConfig& config, int64_t tags) {
  const SparseConfig sparse = with_defaults(config.sparse);
  check_sparse(sparse, "sparse.layer");
  SparseNetwork built;
  built.network = resnet_start(config);
  ResnetBuilder dense(config, built.network);
  int value = dense.stem();
  for (int stage = 1; stage <= resnet_stages; ++stage) {
    const auto found = std::ranges::find(sparse.stages, stage);
    if (found == sparse.stages.end()) {
      value = dense.stages(value, stage - 1, stage);
      continue;
    }
    const auto number = static_cast<size_t>(found - sparse.stages.begin());
    const int inner = sparse.expert_channels.empty()
                          ? matched_channels(config, stage, sparse.chosen)
                          : static_cast<int>(sparse.expert_channels[number]);
    StageBuilder experts(sparse, fmt::format("layer{}", stage), built);
    value = experts.build(value, channels_behind(config, stage - 1), channels_behind(config, stage),
                          inner, stage > 1 ? 2 : 1);
  }
  dense.head(value, tags);
  return built;
}

}  // namespace hardmoe
