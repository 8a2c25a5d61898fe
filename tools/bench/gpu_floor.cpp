// gpu-floor: the least time a step can take on a GPU, computed, not measured. For every operator of
// a network as the CUDA engine runs it: bytes of device memory each operand of each kernel needs
// once, and floating-point operations of its products; then the time of both at the GPU's peaks.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "engine/cuda/kernels.h"
#include "engine/graph.h"
#include "engine/network_facts.h"
#include "nn/resnet.h"

namespace {

using namespace hardmoe;

struct Peaks {
  double bytes_per_second = 3.35e12;
  double bf16 = 989e12;  // dense
  double tf32 = 494e12;  // dense
};

struct Cost {
  double bytes = 0;
  double flops = 0;
  double seconds = 0;  // each kernel alone at the peak that holds it back
};

/// Adds up the kernels of one step.
class Step {
 public:
  Step(const Network& network, int64_t batch, Precision precision, const Peaks& peaks,
       bool training)
      : graph_(make_graph(network, {.mode = training ? Mode::train : Mode::infer})),
        training_(training),
        batch_(static_cast<double>(batch)),
        precision_(precision),
        peaks_(peaks) {}

  std::map<std::string, Cost> costs;

  void run() {
    const double pixels = batch_ * positions(0);
    add("input", 3 * pixels + 4 * width() * pixels, 0);
    for (const Node& node : graph_.nodes) forward(node);
    if (!training_) return;
    for (const Node& node : graph_.nodes) {
      if (node.output < 0) continue;
      backward(node, graph_.readers[static_cast<size_t>(node.output)].size());
    }
    const auto parameters = static_cast<double>(parameter_count(graph_.network));
    add("update", parameters * (20 + (is_bf16() ? 2 : 0)), 0);  // SGD with momentum
  }

 private:
  bool is_bf16() const { return precision_ == Precision::bf16; }
  double width() const { return is_bf16() ? 2 : 4; }
  double positions(int value) const {
    return static_cast<double>(graph_.type(value).extent.positions());
  }
  double channels(int value) const {
    const auto c = static_cast<double>(graph_.type(value).extent.channels);
    return value == 0 ? 4 : c;  // an image is held with four
  }
  double bytes(int value) const { return batch_ * positions(value) * channels(value) * width(); }

  void add(const std::string& name, double bytes, double flops) {
    const double peak = is_bf16() ? peaks_.bf16 : peaks_.tf32;
    Cost& cost = costs[name];
    cost.bytes += bytes;
    cost.flops += flops;
    cost.seconds += std::max(bytes / peaks_.bytes_per_second, flops / peak);
  }

  double weights(const Node& node) const {
    const auto* conv = std::get_if<Conv>(&node.op);
    const double window = conv != nullptr ? conv->window.kernel * conv->window.kernel : 1;
    return window * channels(node.inputs[0]) * channels(node.output);
  }
  /// Of one pass of a product, a multiply-add counted as two; the image's fourth channel is not.
  double flops(const Node& node) const {
    const double in = node.inputs[0] == 0 ? 3 : channels(node.inputs[0]);
    return 2 * batch_ * positions(node.output) * weights(node) / channels(node.inputs[0]) * in;
  }

  cuda::NormApply apply(const Node& node) const {
    // Anything but null counts as there.
    const cuda::Activations there{const_cast<Step*>(this),
                                  is_bf16() ? precision_ : Precision::fp32};
    const bool residual = node.inputs.size() > 1;
    cuda::NormApply args;
    args.x = args.y = there;
    if (residual) args.residual = there;
    if (training_ && residual) args.mask = static_cast<uint8_t*>(there.data);
    args.rows = static_cast<int64_t>(batch_ * positions(node.output));
    args.channels = static_cast<int64_t>(channels(node.output));
    return args;
  }

  void forward(const Node& node) {
    if (std::holds_alternative<TagLoss>(node.op)) {
      const double tags = static_cast<double>(logits_size(graph_.network));
      add("loss", batch_ * tags * (8 + width()), 0);
      return;
    }
    const double in = bytes(node.inputs[0]), out = bytes(node.output);
    if (std::holds_alternative<Conv>(node.op)) {
      add("convolution forward", in + out + width() * weights(node), flops(node));
    } else if (std::holds_alternative<BatchNorm>(node.op)) {
      if (training_) add("norm forward", in, 0);  // the statistics
      add("norm forward", static_cast<double>(bytes_moved(apply(node))), 0);
    } else if (std::holds_alternative<MaxPool>(node.op)) {
      add("pooling", in + out + (training_ ? out / width() : 0), 0);
    } else if (std::holds_alternative<GlobalAvgPool>(node.op)) {
      add("pooling", in + 4 * out / width(), 0);
    } else if (std::holds_alternative<Linear>(node.op)) {
      add("linear", in + 4 * out / width() + width() * weights(node), flops(node));
    } else {
      fail("gpu-floor does not know what operator '{}' costs", node.name);
    }
  }

  /// Each of `readers` left a piece of the output's gradient. A norm takes two as they are.
  void backward(const Node& node, size_t readers) {
    const double in = bytes(node.inputs[0]), out = bytes(node.output);
    const auto* norm = std::get_if<BatchNorm>(&node.op);
    const size_t taken = norm != nullptr ? 2 : 1;
    for (size_t i = taken; i < readers; ++i) add("add", 3 * out, 0);
    if (std::holds_alternative<Conv>(node.op)) {
      add("convolution backward weights", in + out + 4 * weights(node), flops(node));
      if (node.inputs[0] == 0) return;
      add("convolution backward data", in + out + width() * weights(node), flops(node));
    } else if (norm != nullptr) {
      const cuda::NormApply forward = apply(node);
      cuda::NormBackward args;
      args.x = args.dy = args.dx = forward.x;
      args.mask = forward.mask;
      args.relu = norm->relu;
      if (readers > 1) args.dy2 = forward.x;
      args.keep_g = node.inputs.size() > 1 || readers > 1;
      args.rows = forward.rows;
      args.channels = forward.channels;
      add("norm backward", static_cast<double>(bytes_moved(args)), 0);
    } else if (std::holds_alternative<MaxPool>(node.op)) {
      add("pooling", in + out + out / width(), 0);
    } else if (std::holds_alternative<GlobalAvgPool>(node.op)) {
      add("pooling", in + out, 0);
    } else if (std::holds_alternative<Linear>(node.op)) {
      add("linear", 2 * (in + out) + (4 + width()) * weights(node), 2 * flops(node));
    }
  }

  Graph graph_;
  bool training_;
  double batch_;
  Precision precision_;
  Peaks peaks_;
};

struct Row {
  std::string name;
  ModelConfig model;
  int64_t batch;
};

}  // namespace

int main(int argc, char** argv) {
  Peaks peaks;
  double terabytes = 3.35, bf16 = 989, tf32 = 494;
  int64_t batch = 256, tags = 1000;
  CLI::App app("Print the least time a step can take on a GPU: computed from bytes and operations");
  app.add_option("--terabytes", terabytes, "Device memory, TB/s (default an H100 SXM's 3.35)");
  app.add_option("--bf16", bf16, "Dense bf16 products, Tflop/s (default 989)");
  app.add_option("--tf32", tf32, "Dense TF32 products, Tflop/s (default 494)");
  app.add_option("--batch", batch, "Images a step (default 256)");
  app.add_option("--tags", tags, "Vocabulary (default 1000)");
  CLI11_PARSE(app, argc, argv);
  peaks = {terabytes * 1e12, bf16 * 1e12, tf32 * 1e12};

  const std::vector<Row> rows = {{"ResNet-18, 224 px", {18, Stem::imagenet, 64, 224}, batch},
                                 {"ResNet-50, 224 px", {50, Stem::imagenet, 64, 224}, batch},
                                 {"ResNet-18 small, 32 px", {18, Stem::small, 64, 32}, 4 * batch}};
  std::vector<std::vector<std::string>> table = {{"model", "work", "precision", "batch", "GB",
                                                  "Tflop", "ms, memory alone", "ms, products alone",
                                                  "ms, kernel by kernel", "images/s at most"}};
  std::vector<std::vector<std::string>> kernels = {
      {"model", "kernel", "GB", "Tflop", "ms", "share"}};
  for (const Row& row : rows) {
    for (const bool training : {true, false}) {
      for (const Precision precision : {Precision::bf16, Precision::tf32}) {
        const Network network = resnet(row.model, training ? tags : 0);
        Step step(network, row.batch, precision, peaks, training);
        step.run();
        Cost all;
        for (const auto& [name, cost] : step.costs) {
          all.bytes += cost.bytes;
          all.flops += cost.flops;
          all.seconds += cost.seconds;
        }
        const double peak = precision == Precision::bf16 ? peaks.bf16 : peaks.tf32;
        table.push_back({row.name, training ? "training" : "embedding", name_of(precision),
                         fmt::format("{}", row.batch), fmt::format("{:.1f}", all.bytes / 1e9),
                         fmt::format("{:.2f}", all.flops / 1e12),
                         fmt::format("{:.2f}", 1e3 * all.bytes / peaks.bytes_per_second),
                         fmt::format("{:.2f}", 1e3 * all.flops / peak),
                         fmt::format("{:.2f}", 1e3 * all.seconds),
                         fmt::format("{:.0f}", static_cast<double>(row.batch) / all.seconds)});
        if (!training || precision != Precision::bf16) continue;
        for (const auto& [name, cost] : step.costs) {
          kernels.push_back({row.name, name, fmt::format("{:.2f}", cost.bytes / 1e9),
                             fmt::format("{:.2f}", cost.flops / 1e12),
                             fmt::format("{:.2f}", 1e3 * cost.seconds),
                             fmt::format("{:.0f}%", 100 * cost.seconds / all.seconds)});
        }
      }
    }
  }
  fmt::print("{}\ntraining in bf16, kernel by kernel\n{}", format_table(table),
             format_table(kernels));
}
