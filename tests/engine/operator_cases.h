// One table of small networks, each built around one operator or one way of joining operators, for
// every engine: HARDMOE_TEST_DEVICE names the one under test ("cpu" if unset, the emulated GPU
// where there is one). The operator under test has learned layers below it and a norm with ReLU
// above it, so that its gradient with respect to its input is needed and the gradient that reaches
// it differs from place to place.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/network_facts.h"
#include "references/closed_form.h"

namespace hardmoe {

inline std::string device_under_test() {
  const char* device = std::getenv("HARDMOE_TEST_DEVICE");
#ifdef HARDMOE_CUDA_EMULATION
  return device == nullptr ? "cuda" : device;
#else
  return device == nullptr ? "cpu" : device;
#endif
}

inline std::unique_ptr<Engine> engine_under_test() { return make_engine(device_under_test()); }

/// Returns how far float32 answers may lie from exact ones, relative to these. On a GPU more: there
/// a convolution may be computed by Winograd's or Fourier's transform, between which numbers are some
/// times larger than the result and round accordingly, and each plan adds up in an order of its own.
inline double float32_bound() {
#ifdef HARDMOE_CUDA_EMULATION
  return 1e-6;
#else
  return device_under_test() == "cpu" ? 1e-6 : 5e-6;
#endif
}

struct OperatorCase {
  std::string name;
  int64_t batch;
  Network network;
};

inline std::ostream& operator<<(std::ostream& out, const OperatorCase& c) { return out << c.name; }

/// Appends operators to a network; values are named by their numbers.
struct CaseBuilder {
  Network network;

  explicit CaseBuilder(Extent image) { network.extent = image; }

  static CaseBuilder of_features(int64_t size) {
    CaseBuilder build({1, 1, size});
    build.network.input = InputKind::feature;
    return build;
  }

  int conv(int x, const std::string& name, int64_t channels, int kernel, int stride = 1) {
    return network.append({"conv",
                           name,
                           {x},
                           {{"channels", static_cast<double>(channels)},
                            {"kernel", kernel},
                            {"stride", stride},
                            {"padding", kernel / 2}}});
  }
  int norm(int x, const std::string& name) { return network.append({"batch_norm", name, {x}, {}}); }
  int relu(int x) { return network.append({"relu", "", {x}, {}}); }
  int add(int x, int y) { return network.append({"add", "add", {x, y}, {}}); }
  int conv_norm(int x, const std::string& name, int64_t channels, int kernel, int stride = 1) {
    return norm(conv(x, name + ".conv", channels, kernel, stride), name + ".norm");
  }
  int max_pool(int x, int kernel, int stride, int padding) {
    return network.append(
        {"max_pool", "pool", {x}, {{"kernel", kernel}, {"stride", stride}, {"padding", padding}}});
  }
  int mean(int x) { return network.append({"global_avg_pool", "", {x}, {}}); }
  int linear(int x, const std::string& name, int64_t outputs) {
    return network.append({"linear", name, {x}, {{"channels", static_cast<double>(outputs)}}});
  }
  int layer_norm(int x, const std::string& name) {
    return network.append({"layer_norm", name, {x}, {}});
  }
  int gelu(int x) { return network.append({"gelu", "", {x}, {}}); }
  int tokens(int x) { return network.append({"tokens", "", {x}, {}}); }
  int bias(int x, const std::string& name) { return network.append({"bias", name, {x}, {}}); }
  /// A linear layer inside a transformer.
  int project(int x, const std::string& name, int64_t outputs) {
    return network.append(
        {"linear", name, {x}, {{"channels", static_cast<double>(outputs)}, {"working", 1}}});
  }
  int attention(int x, int heads) {
    return network.append({"attention", "attn", {x}, {{"heads", heads}}});
  }
  int class_token(int x) { return network.append({"class_token", "cls_token", {x}, {}}); }
  int positions(int x, std::map<std::string, double> attributes = {}) {
    return network.append({"positions", "pos_embed", {x}, std::move(attributes)});
  }
  int softmax(int x) { return network.append({"softmax", "", {x}, {}}); }
  int softplus(int x, double shift, double floor) {
    return network.append({"softplus", "", {x}, {{"shift", shift}, {"floor", floor}}});
  }
  int noise(int x, double deviation) {
    return network.append({"noise", "noise", {x}, {{"deviation", deviation}}});
  }
  int scaled_noise(int x, int sigma) {
    return network.append({"scaled_noise", "noise", {x, sigma}, {}});
  }
  int top_k(int x, std::map<std::string, double> attributes) {
    return network.append({"top_k", "gate", {x}, std::move(attributes)});
  }
  int capacity(int x, std::map<std::string, double> attributes) {
    return network.append({"capacity", "capacity", {x}, std::move(attributes)});
  }
  /// A basic residual block with the identity as its shortcut.
  int block(int x, const std::string& name) {
    const int64_t channels = value_types(network)[static_cast<size_t>(x)].extent.channels;
    const int inner = relu(conv_norm(x, name + ".1", channels, 3));
    return relu(add(conv_norm(inner, name + ".2", channels, 3), x));
  }
  OperatorCase finish(const std::string& name, int64_t batch, int x, int64_t tags = 5) {
    network.feature = mean(x);
    network.logits = linear(network.feature, "fc", tags);
    return {name, batch, network};
  }
};

/// conv → norm+ReLU → [the convolution] → norm+ReLU → mean → linear.
inline OperatorCase conv_case(Extent image, int64_t in, int64_t out, int kernel, int stride,
                              int64_t batch) {
  CaseBuilder build({image.height, image.width, 3});
  const int x = build.relu(build.conv_norm(0, "below", in, 3));
  const int y = build.relu(build.conv_norm(x, "tested", out, kernel, stride));
  return build.finish(fmt::format("conv{}x{}_s{}_{}to{}_{}x{}_n{}", kernel, kernel, stride, in, out,
                                  image.height, image.width, batch),
                      batch, y);
}

/// The convolution reads the image: only the gradient of its weights is needed.
inline OperatorCase first_conv_case(Extent image, int64_t out, int kernel, int stride,
                                    int64_t batch) {
  CaseBuilder build({image.height, image.width, 3});
  const int y = build.relu(build.conv_norm(0, "tested", out, kernel, stride));
  return build.finish(fmt::format("first_conv{}x{}_s{}_3to{}_{}x{}_n{}", kernel, kernel, stride,
                                  out, image.height, image.width, batch),
                      batch, y);
}

enum class NormForm { plain, relu, add, add_relu };

/// conv → norm+ReLU → conv → [the norm] → conv → norm+ReLU → mean → linear.
inline OperatorCase norm_case(NormForm form, int64_t channels, Extent image, int64_t batch) {
  CaseBuilder build({image.height, image.width, 3});
  const int x = build.relu(build.conv_norm(0, "below", channels, 3));
  int y = build.conv_norm(x, "tested", channels, 1);
  if (form == NormForm::add || form == NormForm::add_relu) y = build.add(y, x);
  if (form == NormForm::relu || form == NormForm::add_relu) y = build.relu(y);
  const int z = build.relu(build.conv_norm(y, "above", 8, 3));
  const char* forms[] = {"norm", "norm_relu", "norm_add", "norm_add_relu"};
  return build.finish(fmt::format("{}_c{}_{}x{}_n{}", forms[static_cast<int>(form)], channels,
                                  image.height, image.width, batch),
                      batch, z);
}

inline OperatorCase max_pool_case(Extent image, int64_t channels, int kernel, int stride,
                                  int padding, int64_t batch) {
  CaseBuilder build({image.height, image.width, 3});
  const int x = build.relu(build.conv_norm(0, "below", channels, 3));
  const int pooled = build.max_pool(x, kernel, stride, padding);
  const int y = build.relu(build.conv_norm(pooled, "above", 8, 3));
  return build.finish(fmt::format("max_pool{}x{}_s{}_p{}_c{}_{}x{}_n{}", kernel, kernel, stride,
                                  padding, channels, image.height, image.width, batch),
                      batch, y);
}

/// Pooling and the linear layer on an image's features.
inline OperatorCase head_case(Extent image, int64_t channels, int64_t tags, int64_t batch) {
  CaseBuilder build({image.height, image.width, 3});
  const int x = build.relu(build.conv_norm(0, "below", channels, 3));
  return build.finish(
      fmt::format("head_c{}_to{}_{}x{}_n{}", channels, tags, image.height, image.width, batch),
      batch, x, tags);
}

/// The linear layer alone, on stored features.
inline OperatorCase linear_case(int64_t features, int64_t tags, int64_t batch) {
  auto build = CaseBuilder::of_features(features);
  build.network.logits = build.linear(0, "fc", tags);
  return {fmt::format("linear_{}to{}_n{}", features, tags, batch), batch, build.network};
}

/// Two linear layers: the lower one's outputs are not the logits.
inline OperatorCase two_linears_case(int64_t features, int64_t hidden, int64_t tags,
                                     int64_t batch) {
  auto build = CaseBuilder::of_features(features);
  const int x = build.linear(0, "hidden", hidden);
  build.network.logits = build.linear(x, "fc", tags);
  return {fmt::format("linear_{}to{}to{}_n{}", features, hidden, tags, batch), batch,
          build.network};
}

/// Operators joined in the ways of residual networks, and some that those do not use.
inline std::vector<OperatorCase> joined_cases() {
  std::vector<OperatorCase> cases;
  const auto joined = [&](const std::string& name, int64_t channels, int64_t batch,
                          const std::function<int(CaseBuilder&, int)>& body) {
    CaseBuilder build({5, 7, 3});
    const int x = build.relu(build.conv_norm(0, "below", channels, 3));
    const int y = body(build, x);
    cases.push_back(build.finish(name, batch, y));
  };
  joined("two_readers", 16, 3, [](CaseBuilder& b, int x) {
    return b.relu(b.add(b.conv_norm(x, "left", 24, 3), b.conv_norm(x, "right", 24, 1)));
  });
  joined("three_readers", 10, 3, [](CaseBuilder& b, int x) {
    const int inner = b.relu(b.conv_norm(x, "inner", 10, 1));
    const int sum = b.relu(b.add(b.conv_norm(x, "left", 10, 3), x));
    return b.relu(b.add(b.conv_norm(inner, "right", 10, 3), sum));
  });
  joined("four_readers", 8, 2, [](CaseBuilder& b, int x) {
    int y = b.relu(b.add(b.conv_norm(x, "a", 8, 3), x));
    y = b.relu(b.add(b.conv_norm(y, "b", 8, 1), x));
    return b.relu(b.add(b.conv_norm(y, "c", 8, 3), x));
  });
  joined("two_norms_of_one_conv", 16, 3, [](CaseBuilder& b, int x) {
    const int y = b.conv(x, "shared", 24, 3);
    return b.relu(b.add(b.norm(y, "left"), b.relu(b.norm(y, "right"))));
  });
  joined("norm_added_to_its_input", 24, 3,
         [](CaseBuilder& b, int x) { return b.relu(b.add(b.norm(x, "again"), x)); });
  joined("shortcut_made_later", 16, 5, [](CaseBuilder& b, int x) {  // as a downsampling block
    const int inner = b.relu(b.conv_norm(x, "1", 24, 3, 2));
    const int y = b.conv_norm(inner, "2", 24, 3);
    return b.relu(b.add(y, b.conv_norm(x, "shortcut", 24, 1, 2)));
  });
  joined("two_blocks", 16, 3,
         [](CaseBuilder& b, int x) { return b.block(b.block(x, "first"), "second"); });
  joined("bottleneck", 24, 3, [](CaseBuilder& b, int x) {
    int y = b.relu(b.conv_norm(x, "1", 8, 1));
    y = b.relu(b.conv_norm(y, "2", 8, 3));
    return b.relu(b.add(b.conv_norm(y, "3", 24, 1), x));
  });
  joined("sum_without_relu_read_twice", 10, 3, [](CaseBuilder& b, int x) {
    const int y = b.add(b.conv_norm(x, "tested", 10, 3), x);
    return b.relu(b.add(b.conv_norm(y, "above", 10, 3), y));
  });
  joined("pool_read_twice", 16, 2,
         [](CaseBuilder& b, int x) { return b.block(b.max_pool(x, 3, 2, 1), "block"); });
  return cases;
}

/// Operators between convolutions' outputs and features that batch norms do not take in: each
/// alone, on maps, on vectors in float32 and on tokens.
inline std::vector<OperatorCase> free_cases() {
  std::vector<OperatorCase> cases;
  const auto on_maps = [&](const std::string& name, int64_t channels, int64_t batch,
                           const std::function<int(CaseBuilder&, int)>& body) {
    CaseBuilder build({5, 7, 3});
    const int x = build.conv(0, "below", channels, 3);
    const int y = body(build, x);
    cases.push_back(build.finish(name, batch, build.relu(build.conv_norm(y, "above", 8, 3))));
  };
  on_maps("relu_of_conv", 16, 3, [](CaseBuilder& b, int x) { return b.relu(x); });
  on_maps("relu_of_relu", 10, 2, [](CaseBuilder& b, int x) { return b.relu(b.relu(x)); });
  on_maps("add_of_convs", 16, 3, [](CaseBuilder& b, int x) {
    return b.add(b.conv(x, "left", 16, 1), b.conv(x, "right", 16, 3));
  });
  on_maps("add_to_itself", 10, 2, [](CaseBuilder& b, int x) { return b.add(x, x); });
  on_maps("two_residuals", 16, 2, [](CaseBuilder& b, int x) {
    return b.relu(b.add(b.add(b.conv_norm(x, "tested", 16, 3), x), x));
  });
  on_maps("add_after_relu", 16, 2,
          [](CaseBuilder& b, int x) { return b.add(b.relu(b.conv_norm(x, "tested", 16, 3)), x); });
  for (const int64_t channels : {10, 16, 64}) {
    on_maps(fmt::format("gelu_c{}", channels), channels, 3,
            [](CaseBuilder& b, int x) { return b.gelu(x); });
    on_maps(fmt::format("layer_norm_c{}", channels), channels, 3,
            [](CaseBuilder& b, int x) { return b.layer_norm(x, "tested"); });
  }
  on_maps("layer_norm_c1100", 1100, 2,  // more than a group of threads takes at once
          [](CaseBuilder& b, int x) { return b.layer_norm(x, "tested"); });

  const auto on_features = [&](const std::string& name, int64_t batch,
                               const std::function<int(CaseBuilder&, int)>& body) {
    auto build = CaseBuilder::of_features(24);
    const int y = body(build, build.linear(0, "below", 20));
    build.network.logits = build.linear(y, "fc", 7);
    cases.push_back({name, batch, build.network});
  };
  on_features("relu_of_linear", 5, [](CaseBuilder& b, int x) { return b.relu(x); });
  on_features("gelu_of_linear", 5, [](CaseBuilder& b, int x) { return b.gelu(x); });
  on_features("layer_norm_of_linear", 5,
              [](CaseBuilder& b, int x) { return b.layer_norm(x, "tested"); });
  on_features("add_of_linears", 5, [](CaseBuilder& b, int x) {
    return b.add(b.linear(x, "left", 20), b.linear(x, "right", 20));
  });
  on_features("linear_without_bias_in_float", 5, [](CaseBuilder& b, int x) {
    return b.network.append({"linear", "tested", {x}, {{"channels", 10}, {"bias", 0}}});
  });
  on_features("features_read_twice", 3,
              [](CaseBuilder& b, int x) { return b.add(b.linear(b.gelu(x), "inner", 20), x); });

  // A linear layer on a map, which it takes as one vector, and on an image.
  CaseBuilder flat({3, 2, 3});
  const int map = flat.relu(flat.conv_norm(0, "below", 10, 3));
  flat.network.feature = flat.linear(map, "hidden", 12);
  flat.network.logits = flat.linear(flat.network.feature, "fc", 5);
  cases.push_back({"linear_of_map", 3, flat.network});
  CaseBuilder pixels({3, 2, 3});
  pixels.network.feature = pixels.linear(0, "hidden", 12);
  pixels.network.logits = pixels.linear(pixels.network.feature, "fc", 5);
  cases.push_back({"linear_of_image", 3, pixels.network});

  // Rows that are tokens: an MLP block as transformers have it, its tokens averaged.
  CaseBuilder tokens({6, 6, 3});
  const int x = tokens.tokens(tokens.conv(0, "patches", 16, 3, 2));
  const int hidden = tokens.gelu(tokens.layer_norm(x, "norm"));
  cases.push_back(tokens.finish("tokens", 3, tokens.add(hidden, x)));
  return cases;
}

/// A layer of experts: rows go to those whose gates, ReLUs of linear scores, are not zero.
struct ExpertsBuilder {
  CaseBuilder& build;
  double experts, chosen;
  int gates = 0, routing = 0;

  ExpertsBuilder(CaseBuilder& build_, int scored, int64_t experts_, int64_t chosen_)
      : build(build_),
        experts(static_cast<double>(experts_)),
        chosen(static_cast<double>(chosen_)),
        gates(build.relu(build.linear(scored, "gate", experts_))),
        routing(build.network.append({"route", "route", {gates}, {{"chosen", chosen}}})) {}

  int dispatch(int x) {
    return build.network.append({"dispatch", "", {x, routing}, {{"experts", experts}}});
  }
  int conv(int x, const std::string& name, int64_t channels, int kernel, int stride = 1) {
    return build.network.append({"expert_conv",
                                 name,
                                 {x, routing},
                                 {{"experts", experts},
                                  {"channels", static_cast<double>(channels)},
                                  {"kernel", kernel},
                                  {"stride", stride},
                                  {"padding", kernel / 2}}});
  }
  int norm(int x, const std::string& name) {
    return build.network.append({"expert_norm", name, {x, routing}, {{"experts", experts}}});
  }
  int conv_norm(int x, const std::string& name, int64_t channels, int kernel, int stride = 1) {
    return norm(conv(x, name + ".conv", channels, kernel, stride), name + ".norm");
  }
  int linear(int x, const std::string& name, int64_t channels) {
    return build.network.append(
        {"expert_linear",
         name,
         {x, routing},
         {{"experts", experts}, {"channels", static_cast<double>(channels)}}});
  }
  int combine(int y) { return build.network.append({"combine", "", {y, gates, routing}, {}}); }
};

/// Experts that are residual blocks of a CNN, or MLPs on tokens.
inline std::vector<OperatorCase> expert_cases() {
  std::vector<OperatorCase> cases;
  const auto on_maps = [&](int64_t experts, int64_t chosen, int64_t channels, int64_t batch) {
    CaseBuilder build({6, 5, 3});
    const int x = build.relu(build.conv_norm(0, "below", channels, 3));
    ExpertsBuilder layer(build, build.mean(x), experts, chosen);
    const int given = layer.dispatch(x);
    const int inner = build.relu(layer.conv_norm(given, "1", 10, 3, 2));
    const int shortcut = layer.conv_norm(given, "shortcut", 16, 1, 2);
    const int made = build.relu(build.add(layer.conv_norm(inner, "2", 16, 3), shortcut));
    const int y = build.relu(build.conv_norm(layer.combine(made), "above", 8, 3));
    cases.push_back(build.finish(
        fmt::format("expert_blocks_{}of{}_c{}_n{}", chosen, experts, channels, batch), batch, y));
  };
  on_maps(3, 2, 16, 6);
  on_maps(4, 1, 10, 7);
  on_maps(1, 1, 8, 3);
  const auto on_tokens = [&](int64_t experts, int64_t chosen, int64_t channels, int64_t hidden) {
    CaseBuilder build({6, 6, 3});
    const int x = build.tokens(build.conv(0, "patches", channels, 3, 2));
    const int normal = build.layer_norm(x, "norm");
    ExpertsBuilder layer(build, normal, experts, chosen);
    const int inner = build.gelu(layer.linear(layer.dispatch(normal), "fc1", hidden));
    const int made = layer.combine(layer.linear(inner, "fc2", channels));
    cases.push_back(build.finish(fmt::format("expert_mlps_{}of{}_c{}", chosen, experts, channels),
                                 3, build.add(made, x)));
  };
  on_tokens(3, 2, 16, 24);
  on_tokens(5, 5, 10, 7);
  on_tokens(8, 1, 64, 80);
  return cases;
}

/// Operators of transformers, on tokens.
inline std::vector<OperatorCase> token_cases() {
  std::vector<OperatorCase> cases;
  const auto on_tokens = [&](const std::string& name, Extent image, int64_t channels, int64_t batch,
                             const std::function<int(CaseBuilder&, int)>& body) {
    CaseBuilder build({image.height, image.width, 3});
    const int x = build.tokens(build.conv(0, "patches", channels, 2, 2));
    const int y = build.layer_norm(body(build, x), "above");
    cases.push_back(build.finish(name, batch, build.gelu(y)));
  };
  for (const auto& [height, width, channels, heads] :
       {std::array{4, 4, 16, 2}, {2, 2, 6, 3}, {2, 2, 8, 1}, {18, 16, 20, 2}, {8, 14, 144, 2}}) {
    const Extent image = {height, width, 3};
    on_tokens(fmt::format("attention_{}x{}_c{}_h{}", height, width, channels, heads), image,
              channels, 2, [qkv = 3 * channels, heads = heads](CaseBuilder& b, int x) {
                return b.attention(b.project(b.layer_norm(x, "norm"), "qkv", qkv), heads);
              });
  }
  // Queries, keys and values in float32.
  on_tokens("attention_of_floats", {4, 4}, 16, 2, [](CaseBuilder& b, int x) {
    return b.attention(b.linear(b.layer_norm(x, "norm"), "qkv", 48), 2);
  });
  for (const int64_t channels : {10, 16}) {
    on_tokens(fmt::format("class_token_c{}", channels), {4, 6}, channels, 3,
              [](CaseBuilder& b, int x) { return b.class_token(b.layer_norm(x, "norm")); });
    on_tokens(fmt::format("positions_c{}", channels), {4, 6}, channels, 3,
              [](CaseBuilder& b, int x) { return b.positions(b.layer_norm(x, "norm")); });
    on_tokens(fmt::format("bias_c{}", channels), {4, 6}, channels, 3,
              [](CaseBuilder& b, int x) { return b.bias(b.gelu(x), "tested"); });
  }
  for (const int64_t channels : {12, 16}) {
    on_tokens(fmt::format("positions_sincos_c{}", channels), {8, 6}, channels, 3,
              [](CaseBuilder& b, int x) {
                return b.positions(
                    b.class_token(b.layer_norm(x, "norm")),
                    {{"sincos", 1}, {"height", 5}, {"width", 4}, {"class_tokens", 1}});
              });
  }
  on_tokens("linear_without_bias", {4, 4}, 16, 3, [](CaseBuilder& b, int x) {
    return b.network.append(
        {"linear", "tested", {x}, {{"channels", 10}, {"bias", 0}, {"working", 1}}});
  });
  on_tokens("linear_in_working_precision", {4, 4}, 16, 3,
            [](CaseBuilder& b, int x) { return b.project(x, "tested", 10); });
  for (const int first : {0, 1}) {
    for (const int64_t channels : {10, 16}) {
      CaseBuilder build({4, 6, 3});
      const int x =
          build.layer_norm(build.tokens(build.conv(0, "patches", channels, 2, 2)), "norm");
      build.network.feature =
          build.network.append({"token_pool", "", {build.gelu(x)}, {{"first", first}}});
      build.network.logits = build.linear(build.network.feature, "fc", 5);
      cases.push_back({fmt::format("token_pool_{}_c{}", first == 1 ? "first" : "mean", channels), 3,
                       build.network});
    }
  }
  return cases;
}

/// The operators of a gate, between two linear layers.
inline std::vector<OperatorCase> gate_cases() {
  std::vector<OperatorCase> cases;
  const auto gate = [&](const std::string& name, int64_t experts, int64_t batch,
                        const std::function<int(CaseBuilder&, int)>& body) {
    auto build = CaseBuilder::of_features(24);
    const int y = body(build, build.linear(0, "below", experts));
    build.network.logits = build.linear(y, "fc", 7);
    cases.push_back({name, batch, build.network});
  };
  for (const int64_t experts : {1, 6, 16}) {
    gate(fmt::format("softmax_e{}", experts), experts, 5,
         [](CaseBuilder& b, int x) { return b.softmax(x); });
  }
  gate("softplus", 6, 5, [](CaseBuilder& b, int x) { return b.softplus(x, 0.25, 0.01); });
  gate("noise", 6, 5, [](CaseBuilder& b, int x) { return b.noise(x, 0.5); });
  gate("scaled_noise", 6, 5, [](CaseBuilder& b, int x) {
    return b.scaled_noise(x, b.softplus(b.linear(0, "deviation", 6), 0, 0.01));
  });
  for (const int k : {1, 2, 6}) {
    gate(fmt::format("top_{}_then_softmax", k), 6, 5, [&](CaseBuilder& b, int x) {
      return b.top_k(x, {{"k", k}});
    });
    gate(fmt::format("softmax_then_top_{}", k), 6, 5, [&](CaseBuilder& b, int x) {
      return b.top_k(b.softmax(x), {{"k", k}, {"softmax", 0}});
    });
  }
  gate("top_k_of_one", 1, 5, [](CaseBuilder& b, int x) { return b.top_k(x, {{"k", 1}}); });
  for (const int constraint : {1, 2}) {  // about half of the experts are masked
    gate(fmt::format("top_k_constraint{}", constraint), 6, 5, [&](CaseBuilder& b, int x) {
      const double limit = constraint == 1 ? 0 : -1.0 / 6;
      return b.top_k(x, {{"k", 2}, {"constraint", constraint}, {"limit", limit}});
    });
  }
  for (const int priority : {0, 3}) {  // 32 choices, 4 experts, 4 rows each
    gate(fmt::format("capacity_priority{}", priority), 4, 16, [&](CaseBuilder& b, int x) {
      const int gates = b.top_k(b.softmax(x), {{"k", 2}, {"softmax", 0}});
      return b.capacity(gates, {{"k", 2}, {"factor", 0.5}, {"priority", priority}, {"group", 7}});
    });
  }
  return cases;
}

inline std::vector<OperatorCase> operator_cases() {
  std::vector<OperatorCase> cases = {
      first_conv_case({5, 7}, 16, 1, 1, 3),
      first_conv_case({5, 7}, 8, 3, 1, 1),
      first_conv_case({5, 7}, 16, 3, 2, 3),
      first_conv_case({9, 9}, 24, 7, 2, 2),
      first_conv_case({11, 9}, 64, 7, 2, 1),

      conv_case({5, 7}, 3, 8, 3, 1, 2),
      conv_case({5, 7}, 8, 16, 3, 1, 1),
      conv_case({9, 9}, 8, 8, 3, 2, 3),
      conv_case({6, 5}, 24, 10, 3, 1, 2),
      conv_case({5, 7}, 10, 12, 3, 1, 3),
      conv_case({5, 7}, 64, 64, 3, 1, 3),
      conv_case({9, 9}, 64, 16, 3, 2, 1),
      conv_case({1, 1}, 16, 16, 3, 1, 7),
      conv_case({2, 2}, 16, 80, 3, 1, 5),  // small maps, whole vectors of channels
      conv_case({3, 2}, 64, 128, 3, 1, 17),
      conv_case({3, 3}, 16, 64, 3, 2, 3),
      conv_case({4, 4}, 80, 16, 3, 2, 2),
      conv_case({5, 7}, 16, 80, 3, 1, 2),
      conv_case({8, 4}, 80, 64, 3, 1, 1),
      conv_case({5, 7}, 16, 24, 1, 1, 5),
      conv_case({4, 4}, 3, 16, 1, 1, 3),
      conv_case({9, 9}, 16, 64, 1, 2, 1),
      conv_case({5, 7}, 64, 24, 1, 2, 2),
      conv_case({8, 6}, 8, 3, 1, 2, 3),
      conv_case({5, 7}, 2, 3, 1, 2, 5),  // few channels
      conv_case({8, 6}, 3, 8, 1, 2, 3),
      conv_case({9, 9}, 4, 8, 1, 2, 2),
      conv_case({7, 7}, 24, 16, 7, 1, 1),
      conv_case({9, 9}, 8, 24, 7, 2, 2),

      // Maps smaller than the window, where an engine may do something else.
      conv_case({2, 2}, 16, 24, 3, 1, 5),
      conv_case({2, 2}, 10, 16, 3, 2, 3),
      conv_case({3, 2}, 8, 16, 3, 1, 4),
      conv_case({2, 2}, 8, 8, 7, 1, 3),
  };
  for (const NormForm form : {NormForm::plain, NormForm::relu, NormForm::add, NormForm::add_relu}) {
    for (const int64_t channels : {10, 24}) {
      cases.push_back(norm_case(form, channels, {5, 7}, form == NormForm::relu ? 1 : 3));
    }
    cases.push_back(norm_case(form, 40, {9, 9}, 5));  // rows enough for several threads
  }
  for (const int64_t channels : {3, 16, 64}) {
    cases.push_back(norm_case(NormForm::relu, channels, {5, 7}, 3));
    cases.push_back(norm_case(NormForm::add_relu, channels, {5, 7}, 2));
  }
  for (auto& joined : joined_cases()) cases.push_back(std::move(joined));
  for (auto& alone : free_cases()) cases.push_back(std::move(alone));
  for (auto& experts : expert_cases()) cases.push_back(std::move(experts));
  for (auto& of_tokens : token_cases()) cases.push_back(std::move(of_tokens));
  for (auto& gate : gate_cases()) cases.push_back(std::move(gate));
  for (const auto& c : {
           max_pool_case({9, 9}, 16, 3, 2, 1, 3),
           max_pool_case({5, 7}, 10, 3, 2, 1, 1),
           max_pool_case({8, 6}, 24, 2, 2, 0, 2),
           max_pool_case({5, 7}, 8, 3, 1, 1, 3),
           max_pool_case({9, 9}, 64, 3, 2, 1, 1),

           head_case({1, 1}, 16, 7, 5),
           head_case({5, 7}, 10, 1, 3),
           head_case({9, 9}, 24, 7, 1),
           head_case({5, 7}, 64, 1000, 3),

           two_linears_case(24, 13, 7, 3),
           linear_case(24, 1, 3),
           linear_case(10, 7, 1),
           linear_case(64, 7, 5),
           linear_case(16, 1000, 3),
       }) {
    cases.push_back(c);
  }
  return cases;
}

inline StateDict case_weights(const Network& network) {
  StateDict weights;
  for (const auto& spec : parameters_of(network)) {
    weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
  }
  return weights;
}

/// `rows` images (or features) drawn at random; row i has (i + 1) mod 3 tags, so some have none.
inline Batch case_batch(const Network& network, int64_t rows, uint64_t stream = 0) {
  const Extent& in = network.extent;
  Random random(17, RandomUse::test, stream);
  Batch batch;
  batch.size = rows;
  if (network.input == InputKind::image) {
    batch.input = Tensor(DType::u8, {rows, in.height, in.width, 3});
    for (auto& value : batch.input.as<uint8_t>()) value = static_cast<uint8_t>(random.below(256));
  } else {
    batch.input = Tensor(DType::f32, network.input == InputKind::feature
                                         ? Shape{rows, in.channels}
                                         : Shape{rows, in.height, in.width, in.channels});
    for (auto& value : batch.input.as<float>()) value = random.normal();
  }
  const int64_t tags = logits_size(network);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t count = std::min<int64_t>((i + 1) % 3, tags);
    const auto first = static_cast<int64_t>(random.below(static_cast<uint64_t>(tags - count + 1)));
    for (int64_t k = 0; k < count; ++k) {
      batch.tag_ids.push_back(static_cast<int32_t>(first + k));
    }
    batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
  }
  return batch;
}

inline auto operator_case_name = [](const testing::TestParamInfo<OperatorCase>& info) {
  return info.param.name;
};

}  // namespace hardmoe
