// gpu-floor: the least time a step can take on a GPU, computed, not measured. For every operator of
// a network as the CUDA engine runs it: bytes of device memory each operand of each kernel needs
// once, and floating-point operations of its products; then the time of both at the GPU's peaks.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

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

/// How batch norm is computed in training.
enum class NormPlan {
  kernels,     ///< as the CUDA engine does: statistics, application and both passes of the gradient
  sums,        ///< the convolution before leaves the statistics' sums as it writes its output
  fused_read,  ///< and a norm with ReLU whose one reader is a convolution is applied as that reads
               ///< it; its output is computed again for the gradient of that one's weights
  fused_both,  ///< likewise, but that gradient applies the norm as it reads, too
};

/// Adds up the kernels of one step.
class Step {
 public:
  Step(const Network& network, int64_t batch, Precision precision, const Peaks& peaks,
       bool training, NormPlan plan = NormPlan::kernels)
      : graph_(make_graph(network, {.mode = training ? Mode::train : Mode::infer})),
        training_(training),
        batch_(static_cast<double>(batch)),
        precision_(precision),
        peaks_(peaks),
        plan_(plan) {}

  std::map<std::string, Cost> costs;
  std::map<std::string, double> norm_bytes;  ///< of batch norm's kernels; in `costs`, too

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

  /// Adds a kernel of batch norm: to what `costs` calls `name`, and by itself.
  void add_norm(const std::string& name, const std::string& kernel, double bytes) {
    add(name, bytes, 0);
    norm_bytes[kernel] += bytes;
  }

  /// Returns the node that writes the value; null for the image.
  const Node* writer(int value) const {
    const auto found = std::ranges::find(graph_.nodes, value, &Node::output);
    return found == graph_.nodes.end() ? nullptr : &*found;
  }
  bool follows_conv(const Node& norm) const {
    const Node* before = writer(norm.inputs[0]);
    return before != nullptr && std::holds_alternative<Conv>(before->op);
  }
  /// Returns whether the norm can be applied as the convolution behind it reads.
  bool is_inner(const Node& norm) const {
    const auto& readers = graph_.readers[static_cast<size_t>(norm.output)];
    if (norm.inputs.size() > 1 || readers.size() != 1) return false;
    return std::ranges::any_of(graph_.nodes, [&](const Node& node) {
      return std::holds_alternative<Conv>(node.op) && node.inputs[0] == norm.output;
    });
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
      const bool sums_there = plan_ != NormPlan::kernels && follows_conv(node);
      if (training_ && !sums_there) add_norm("norm forward", "statistics", in);
      const bool as_read = plan_ > NormPlan::sums && is_inner(node);
      if (!as_read) {
        add_norm("norm forward", "application", static_cast<double>(bytes_moved(apply(node))));
      } else if (plan_ == NormPlan::fused_read) {
        add_norm("norm again", "application again, for weight gradients", in + out);
      }
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
      cuda::NormBackward differences = args;  // bytes_moved() less those of the sums' pass
      differences.dx = {};
      const double in_all = static_cast<double>(bytes_moved(args));
      const double written = in_all - static_cast<double>(bytes_moved(differences));
      const double second = 2 * bytes(node.inputs[0]) + written;  // x and g are read
      add_norm("norm backward", "gradient's sums", in_all - second);
      add_norm("norm backward", "gradient", second);
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
  NormPlan plan_;
};

struct Row {
  std::string name;
  ModelConfig model;
  int64_t batch;
};

/// Returns the bytes of batch norm's kernels in a step of training in bf16, for each plan.
std::string norm_table(const Row& row, int64_t tags, const Peaks& peaks) {
  const std::vector<std::pair<NormPlan, std::string>> plans = {
      {NormPlan::kernels, "as it is"},
      {NormPlan::sums, "sums by convolutions"},
      {NormPlan::fused_read, "applied as read, forward"},
      {NormPlan::fused_both, "forward and in weight gradients"}};
  std::vector<std::string> heading = {row.name + ", batch norm, GB"}, norms = {"batch norm in all"},
                           all = {"the whole step"}, least = {"ms, kernel by kernel"};
  const std::vector<std::string> names = {"statistics", "application",
                                          "application again, for weight gradients",
                                          "gradient's sums", "gradient"};
  std::map<std::string, std::vector<std::string>> kernels;
  for (const auto& [plan, name] : plans) {
    Step step(resnet(row.model, tags), row.batch, Precision::bf16, peaks, true, plan);
    step.run();
    heading.push_back(name);
    double of_norms = 0, bytes = 0, seconds = 0;
    for (const std::string& kernel : names) {
      const double moved = step.norm_bytes[kernel];
      kernels[kernel].push_back(moved > 0 ? fmt::format("{:.1f}", moved / 1e9) : "–");
      of_norms += moved;
    }
    for (const auto& [part, cost] : step.costs) {
      bytes += cost.bytes;
      seconds += cost.seconds;
    }
    norms.push_back(fmt::format("{:.1f}", of_norms / 1e9));
    all.push_back(fmt::format("{:.1f}", bytes / 1e9));
    least.push_back(fmt::format("{:.2f}", 1e3 * seconds));
  }
  std::vector<std::vector<std::string>> table = {heading};
  for (const std::string& kernel : names) {
    table.push_back({kernel});
    table.back().insert(table.back().end(), kernels[kernel].begin(), kernels[kernel].end());
  }
  table.insert(table.end(), {norms, all, least});
  return format_table(table);
}

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
  for (const Row& row : rows) fmt::print("\n{}", norm_table(row, tags, peaks));
}
