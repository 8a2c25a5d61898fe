// A Network run plainly in double precision, for the engines to be compared with: loops that follow
// the definitions, nothing fused, nothing fast. Activations are N×H×W×C, parameters as PyTorch lays
// them out.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/network_facts.h"
#include "engine/ops/operators.h"
#include "engine/ops/routing.h"
#include "engine/reference_gates.h"
#include "engine/spec.h"
#include "nn/batch.h"

namespace hardmoe {

using Doubles = std::vector<double>;
using ReferenceWeights = std::map<std::string, Doubles>;

inline ReferenceWeights to_double(const StateDict& weights) {
  ReferenceWeights result;
  for (const auto& [name, tensor] : weights) {
    const auto values = tensor.as<float>();
    result.emplace(name, Doubles(values.begin(), values.end()));
  }
  return result;
}

inline Doubles reference_conv(const Window& op, const Extent& in, const Extent& out,
                              const Doubles& x, const Doubles& weight, int64_t n) {
  Doubles y(static_cast<size_t>(n * out.elements()));
  const int64_t k = op.kernel;
  // Transposed once to K×K×I×O, so that the inner loop runs over neighbours.
  Doubles turned(weight.size());
  for (int64_t o = 0, from = 0; o < out.channels; ++o) {
    for (int64_t i = 0; i < in.channels; ++i) {
      for (int64_t tap = 0; tap < k * k; ++tap, ++from) {
        turned[static_cast<size_t>((tap * in.channels + i) * out.channels + o)] =
            weight[static_cast<size_t>(from)];
      }
    }
  }
  for (int64_t place = 0; place < n * out.height * out.width; ++place) {
    const int64_t image = place / (out.height * out.width);
    const int64_t top = place / out.width % out.height * op.stride - op.padding;
    const int64_t left = place % out.width * op.stride - op.padding;
    double* sums = y.data() + place * out.channels;
    for (int64_t tap = 0; tap < k * k; ++tap) {
      const int64_t row = top + tap / k, column = left + tap % k;
      if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
      const double* pixel =
          x.data() + ((image * in.height + row) * in.width + column) * in.channels;
      for (int64_t i = 0; i < in.channels; ++i) {
        const double* w = turned.data() + (tap * in.channels + i) * out.channels;
        for (int64_t o = 0; o < out.channels; ++o) sums[o] += pixel[i] * w[o];
      }
    }
  }
  return y;
}

inline Doubles reference_max_pool(const Window& op, const Extent& in, const Extent& out,
                                  const Doubles& x, int64_t n) {
  Doubles y(static_cast<size_t>(n * out.elements()), -std::numeric_limits<double>::infinity());
  for (int64_t place = 0; place < n * out.height * out.width; ++place) {
    const int64_t image = place / (out.height * out.width);
    const int64_t top = place / out.width % out.height * op.stride - op.padding;
    const int64_t left = place % out.width * op.stride - op.padding;
    for (int64_t tap = 0; tap < op.kernel * op.kernel; ++tap) {
      const int64_t row = top + tap / op.kernel, column = left + tap % op.kernel;
      if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
      for (int64_t c = 0; c < in.channels; ++c) {
        const int64_t from = ((image * in.height + row) * in.width + column) * in.channels + c;
        double& most = y[static_cast<size_t>(place * out.channels + c)];
        most = std::max(most, x[static_cast<size_t>(from)]);
      }
    }
  }
  return y;
}

/// Normalises by the batch's own statistics (training) or by the running ones.
inline Doubles reference_norm(const std::string& name, int64_t channels, const Doubles& x,
                              const ReferenceWeights& weights, bool training) {
  const auto columns = static_cast<size_t>(channels);
  const size_t rows = x.size() / columns;
  const auto of = [&](const char* suffix) -> const Doubles& { return weights.at(name + suffix); };
  Doubles y(x.size());
  for (size_t c = 0; c < columns; ++c) {
    double mean = of(".running_mean")[c];
    double variance = of(".running_var")[c];
    if (training) {
      mean = variance = 0;
      for (size_t r = 0; r < rows; ++r) mean += x[r * columns + c] / static_cast<double>(rows);
      for (size_t r = 0; r < rows; ++r) {
        variance += std::pow(x[r * columns + c] - mean, 2) / static_cast<double>(rows);
      }
    }
    const double scale = of(".weight")[c] / std::sqrt(variance + double{batch_norm_epsilon});
    for (size_t r = 0; r < rows; ++r) {
      y[r * columns + c] = (x[r * columns + c] - mean) * scale + of(".bias")[c];
    }
  }
  return y;
}

/// Normalises the channels of every position.
inline Doubles reference_layer_norm(const std::string& name, int64_t channels, const Doubles& x,
                                    const ReferenceWeights& weights) {
  const auto columns = static_cast<size_t>(channels);
  const Doubles &gamma = weights.at(name + ".weight"), &beta = weights.at(name + ".bias");
  Doubles y(x.size());
  for (size_t row = 0; row < x.size(); row += columns) {
    double mean = 0, variance = 0;
    for (size_t c = 0; c < columns; ++c) mean += x[row + c] / static_cast<double>(columns);
    for (size_t c = 0; c < columns; ++c) {
      variance += std::pow(x[row + c] - mean, 2) / static_cast<double>(columns);
    }
    for (size_t c = 0; c < columns; ++c) {
      y[row + c] = (x[row + c] - mean) / std::sqrt(variance + 1e-5) * gamma[c] + beta[c];
    }
  }
  return y;
}

/// The mean over everything of an image but its channels.
inline Doubles reference_mean(int64_t channels, const Doubles& x, int64_t n) {
  const auto columns = static_cast<size_t>(channels), images = static_cast<size_t>(n);
  const size_t elements = x.size() / images;
  Doubles y(images * columns);
  for (size_t i = 0; i < x.size(); ++i) {
    y[i / elements * columns + i % columns] += x[i] / static_cast<double>(elements / columns);
  }
  return y;
}

/// Rows of H×W×C flattened as PyTorch flattens C×H×W.
inline Doubles reference_linear(const Extent& in, int64_t outputs, const Doubles& x,
                                const Doubles& weight, const Doubles& bias) {
  const auto width = static_cast<size_t>(in.elements());
  const auto positions = static_cast<size_t>(in.positions());
  const auto channels = static_cast<size_t>(in.channels);
  Doubles y;
  for (size_t row = 0; row < x.size() / width; ++row) {
    for (size_t o = 0; o < static_cast<size_t>(outputs); ++o) {
      double sum = bias[o];
      for (size_t p = 0; p < positions; ++p) {
        for (size_t c = 0; c < channels; ++c) {
          sum += weight[o * width + c * positions + p] * x[row * width + p * channels + c];
        }
      }
      y.push_back(sum);
    }
  }
  return y;
}

/// The numbers of engine/ops/routing.h, as doubles.
inline Doubles reference_route(int64_t experts, int64_t chosen, const Doubles& gates) {
  const int64_t rows = static_cast<int64_t>(gates.size()) / experts;
  const RoutingLayout layout = {rows, experts, chosen};
  Doubles routing(static_cast<size_t>(rows * RoutingLayout::elements_per_row(experts, chosen)), -1);
  std::vector<int64_t> choices(static_cast<size_t>(rows), 0);
  int64_t slot = 0;
  for (int64_t e = 0; e < experts; ++e) {
    routing[static_cast<size_t>(e)] = static_cast<double>(slot);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t& choice = choices[static_cast<size_t>(row)];
      if (gates[static_cast<size_t>(row * experts + e)] == 0 || choice == chosen) continue;
      routing[static_cast<size_t>(layout.slots() + row * chosen + choice++)] =
          static_cast<double>(slot);
      routing[static_cast<size_t>(layout.sources() + slot++)] = static_cast<double>(row);
    }
  }
  routing[static_cast<size_t>(experts)] = static_cast<double>(slot);
  return routing;
}

/// The routed rows of an expert, [first, second).
inline std::pair<int64_t, int64_t> reference_range(const Doubles& routing, int64_t expert) {
  return {static_cast<int64_t>(routing[static_cast<size_t>(expert)]),
          static_cast<int64_t>(routing[static_cast<size_t>(expert) + 1])};
}

inline Doubles reference_dispatch(int64_t experts, int64_t chosen, const Doubles& routing,
                                  const Doubles& x, int64_t row) {
  const RoutingLayout layout = {static_cast<int64_t>(x.size()) / row, experts, chosen};
  Doubles y(static_cast<size_t>(layout.routed_rows() * row));
  for (int64_t slot = 0; slot < reference_range(routing, experts - 1).second; ++slot) {
    const auto source = static_cast<int64_t>(routing[static_cast<size_t>(layout.sources() + slot)]);
    std::copy_n(x.begin() + source * row, row, y.begin() + slot * row);
  }
  return y;
}

inline Doubles reference_combine(int64_t experts, int64_t chosen, const Doubles& y,
                                 const Doubles& gates, const Doubles& routing, int64_t row) {
  const RoutingLayout layout = {static_cast<int64_t>(gates.size()) / experts, experts, chosen};
  Doubles out(static_cast<size_t>(layout.rows * row));
  for (int64_t e = 0; e < experts; ++e) {
    const auto [first, end] = reference_range(routing, e);
    for (int64_t slot = first; slot < end; ++slot) {
      const auto source =
          static_cast<int64_t>(routing[static_cast<size_t>(layout.sources() + slot)]);
      const double gate = gates[static_cast<size_t>(source * experts + e)];
      for (int64_t i = 0; i < row; ++i) {
        out[static_cast<size_t>(source * row + i)] += gate * y[static_cast<size_t>(slot * row + i)];
      }
    }
  }
  return out;
}

/// Calls one(prefix of the expert's parameters, its rows) for each expert with rows, and puts what it
/// returns one after the other; unused rows are zero.
template <class One>
Doubles reference_experts(const Op& op, const Doubles& routing, const Doubles& x, const Extent& in,
                          const Extent& out, const One& one) {
  const auto experts = static_cast<int64_t>(op.attributes.at("experts"));
  Doubles y(x.size() / static_cast<size_t>(in.elements()) * static_cast<size_t>(out.elements()));
  for (int64_t e = 0; e < experts; ++e) {
    const auto [first, end] = reference_range(routing, e);
    if (first == end) continue;
    const Doubles rows(x.begin() + first * in.elements(), x.begin() + end * in.elements());
    const Doubles made = one(op.name + "." + std::to_string(e), rows, end - first);
    std::copy(made.begin(), made.end(), y.begin() + first * out.elements());
  }
  return y;
}

/// A gate's operator in its first step with seed 0, or in inference; `value` is its output's number.
inline Doubles reference_gate(const Op& op, int value, const std::vector<Doubles>& values,
                              size_t experts, size_t images, const ReferenceWeights& weights,
                              bool training) {
  const Doubles& x = values[static_cast<size_t>(op.inputs[0])];
  const bool noisy = training && (op.type == "noise" || op.type == "scaled_noise");
  Doubles y = x;
  if (noisy) {
    const Doubles noise = reference_noise(0, 1, static_cast<uint64_t>(value), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      y[i] += noise[i] * (op.type == "noise" ? op.attributes.at("deviation")
                                             : values[static_cast<size_t>(op.inputs[1])][i]);
    }
  } else if (op.type == "softmax") {
    y = reference_softmax(x, experts);
  } else if (op.type == "softplus") {
    for (double& v : y) {
      v = std::log1p(std::exp(v + attribute_or(op, "shift", 0))) + attribute_or(op, "floor", 0);
    }
  } else if (op.type == "top_k") {
    const bool masks = training && attribute_or(op, "constraint", 0) != 0;
    y = reference_top_k(op, x, experts, masks ? weights.at(op.name + ".running") : Doubles{});
  } else if (op.type == "capacity") {
    const size_t an_image = x.size() / experts / images;
    const auto group = static_cast<size_t>(attribute_or(op, "group", 1));
    y = reference_capacity(op, x, experts, an_image * (training ? images : group), training);
  }
  return y;
}

/// softmax(Q·Kᵀ/√d)·V of one image and head after the other; x: rows of all queries, keys, values.
inline Doubles reference_attention(int64_t heads, int64_t tokens, int64_t channels,
                                   const Doubles& x) {
  const auto count = static_cast<size_t>(tokens), columns = static_cast<size_t>(channels);
  const size_t width = columns / static_cast<size_t>(heads);
  Doubles y(x.size() / 3);
  for (size_t first = 0; first < x.size() / 3 / columns; first += count) {
    for (size_t head = 0; head < columns; head += width) {
      const auto at = [&](size_t token, size_t part, size_t c) {
        return x[(first + token) * 3 * columns + part * columns + head + c];
      };
      for (size_t query = 0; query < count; ++query) {
        Doubles weights;
        double total = 0;
        for (size_t key = 0; key < count; ++key) {
          double score = 0;
          for (size_t c = 0; c < width; ++c) score += at(query, 0, c) * at(key, 1, c);
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(width))));
          total += weights.back();
        }
        for (size_t key = 0; key < count; ++key) {
          for (size_t c = 0; c < width; ++c) {
            y[(first + query) * columns + head + c] += weights[key] / total * at(key, 2, c);
          }
        }
      }
    }
  }
  return y;
}

/// A token before those of every image.
inline Doubles reference_class_token(const Doubles& x, const Doubles& token, int64_t n) {
  const size_t elements = x.size() / static_cast<size_t>(n);
  Doubles y;
  for (size_t first = 0; first < x.size(); first += elements) {
    y.insert(y.end(), token.begin(), token.end());
    for (size_t i = 0; i < elements; ++i) y.push_back(x[first + i]);
  }
  return y;
}

/// The same row added to all.
inline Doubles reference_added_row(const Doubles& x, const Doubles& row) {
  Doubles y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] + row[i % row.size()]);
  return y;
}

/// sin(ω·x), cos(ω·x), sin(ω·y), cos(ω·y) of a map's positions, row by row, after `none` empty rows.
inline Doubles reference_sincos(int64_t height, int64_t width, int64_t none, int64_t channels) {
  Doubles table(static_cast<size_t>((none + height * width) * channels));
  const int64_t quarter = channels / 4;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      double* row = table.data() + (none + y * width + x) * channels;
      for (int64_t i = 0; i < quarter; ++i) {
        const double omega =
            1 / std::pow(10000, static_cast<double>(i) / static_cast<double>(quarter - 1));
        row[i] = std::sin(omega * static_cast<double>(x));
        row[quarter + i] = std::cos(omega * static_cast<double>(x));
        row[2 * quarter + i] = std::sin(omega * static_cast<double>(y));
        row[3 * quarter + i] = std::cos(omega * static_cast<double>(y));
      }
    }
  }
  return table;
}

inline Doubles reference_first_token(int64_t channels, const Doubles& x, int64_t n) {
  const size_t elements = x.size() / static_cast<size_t>(n);
  Doubles y;
  for (size_t first = 0; first < x.size(); first += elements) {
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) y.push_back(x[first + c]);
  }
  return y;
}

/// Returns whether reference_gate() knows a type.
inline bool is_of_a_gate(const std::string& type) {
  static const std::set<std::string> types = {"softmax",      "softplus", "noise",
                                              "scaled_noise", "top_k",    "capacity"};
  return types.contains(type);
}

/// Every value of the network for the first `batch.size` rows. `frozen`: batch norms keep to their
/// running statistics in training, too.
inline std::vector<Doubles> reference_forward(const Network& network,
                                              const ReferenceWeights& weights, const Batch& batch,
                                              bool training, bool frozen = false) {
  const int64_t n = batch.size;
  const std::vector<ValueType> types = value_types(network);
  std::vector<Doubles> values(1);
  values[0].resize(static_cast<size_t>(n * network.extent.elements()));
  for (size_t i = 0; i < values[0].size(); ++i) {
    values[0][i] =
        network.input == InputKind::image
            ? (static_cast<double>(batch.input.as<uint8_t>()[i]) - double{network.mean[i % 3]}) /
                  double{network.deviation[i % 3]}
            : double{batch.input.as<float>()[i]};
  }
  for (size_t op_index = 0; op_index < network.ops.size(); ++op_index) {
    const Op& op = network.ops[op_index];
    const auto input = static_cast<size_t>(op.inputs[0]);
    const Extent& in = types[input].extent;
    const Extent& out = types[op_index + 1].extent;
    const Doubles& x = values[input];
    Doubles y;
    const auto window = [&] {
      Attributes attributes(op);
      return Window::from(attributes);
    };
    if (op.type == "conv") {
      y = reference_conv(window(), in, out, x, weights.at(op.name + ".weight"), n);
    } else if (op.type == "batch_norm") {
      y = reference_norm(op.name, in.channels, x, weights, training && !frozen);
    } else if (op.type == "relu") {
      for (const double v : x) y.push_back(std::max(v, 0.0));
    } else if (op.type == "gelu") {
      for (const double v : x) y.push_back(v * 0.5 * std::erfc(-v / std::sqrt(2.0)));
    } else if (op.type == "layer_norm") {
      y = reference_layer_norm(op.name, in.channels, x, weights);
    } else if (op.type == "tokens") {
      y = x;
    } else if (op.type == "route") {
      y = reference_route(in.channels, static_cast<int64_t>(op.attributes.at("chosen")), x);
    } else if (op.type == "dispatch") {
      const auto experts = static_cast<int64_t>(op.attributes.at("experts"));
      const int64_t chosen = chosen_of(types[static_cast<size_t>(op.inputs[1])], experts);
      y = reference_dispatch(experts, chosen, values[static_cast<size_t>(op.inputs[1])], x,
                             in.elements());
    } else if (op.type == "combine") {
      const int64_t experts = types[static_cast<size_t>(op.inputs[1])].extent.channels;
      y = reference_combine(experts, chosen_of(types[static_cast<size_t>(op.inputs[2])], experts),
                            x, values[static_cast<size_t>(op.inputs[1])],
                            values[static_cast<size_t>(op.inputs[2])], in.elements());
    } else if (op.type.starts_with("expert_")) {
      y = reference_experts(
          op, values[static_cast<size_t>(op.inputs[1])], x, in, out,
          [&](const std::string& prefix, const Doubles& rows, int64_t count) {
            if (op.type == "expert_conv") {
              return reference_conv(window(), in, out, rows, weights.at(prefix + ".weight"), count);
            }
            if (op.type == "expert_norm") {
              return reference_norm(prefix, in.channels, rows, weights, training && !frozen);
            }
            return reference_linear(in, out.channels, rows, weights.at(prefix + ".weight"),
                                    weights.at(prefix + ".bias"));
          });
    } else if (op.type == "add") {
      for (size_t i = 0; i < x.size(); ++i) {
        y.push_back(x[i] + values[static_cast<size_t>(op.inputs[1])][i]);
      }
    } else if (op.type == "max_pool") {
      y = reference_max_pool(window(), in, out, x, n);
    } else if (op.type == "global_avg_pool") {
      y = reference_mean(in.channels, x, n);
    } else if (op.type == "linear") {
      const auto bias = weights.find(op.name + ".bias");
      y = reference_linear(
          in, out.channels, x, weights.at(op.name + ".weight"),
          bias == weights.end() ? Doubles(static_cast<size_t>(out.channels)) : bias->second);
    } else if (op.type == "bias") {
      y = reference_added_row(x, weights.at(op.name + ".bias"));
    } else if (op.type == "attention") {
      y = reference_attention(Attributes(op).size("heads"), types[input].planned_rows(1),
                              out.channels, x);
    } else if (op.type == "class_token") {
      y = reference_class_token(x, weights.at(op.name), n);
    } else if (op.type == "positions" && op.attributes.contains("sincos")) {
      Attributes of(op);
      y = reference_added_row(
          x, reference_sincos(of.size("height"), of.size("width"),
                              static_cast<int64_t>(of.number("class_tokens", 0)), in.channels));
    } else if (op.type == "positions") {
      y = reference_added_row(x, weights.at(op.name));
    } else if (op.type == "token_pool") {
      y = Attributes(op).integer("first") != 0 ? reference_first_token(in.channels, x, n)
                                               : reference_mean(in.channels, x, n);
    } else if (is_of_a_gate(op.type)) {
      y = reference_gate(op, static_cast<int>(op_index) + 1, values,
                         static_cast<size_t>(in.channels), static_cast<size_t>(n), weights,
                         training);
    } else {
      ADD_FAILURE() << "the reference has no " << op.type;
    }
    values.push_back(std::move(y));
  }
  return values;
}

/// Mean over rows of the loss that spec.h and kernels.h define.
inline double reference_loss(LossKind kind, double smoothing, const Doubles& logits,
                             const Batch& batch) {
  const auto rows = static_cast<size_t>(batch.size);
  const size_t tags = logits.size() / rows;
  double total = 0;
  for (size_t i = 0; i < rows; ++i) {
    const double* z = logits.data() + i * tags;
    const int32_t* first = batch.tag_ids.data() + batch.tag_ptr[i];
    const int32_t* last = batch.tag_ids.data() + batch.tag_ptr[i + 1];
    if (kind == LossKind::softmax && first == last) continue;
    const double weight = batch.weights.empty() ? 1 : double{batch.weights[i]};
    const double top = *std::max_element(z, z + tags);
    double sum = 0;
    for (size_t j = 0; j < tags; ++j) sum += std::exp(z[j] - top);
    for (size_t j = 0; j < tags; ++j) {
      const bool tagged = std::find(first, last, static_cast<int32_t>(j)) != last;
      if (kind == LossKind::softmax) {
        const double target = (tagged ? (1 - smoothing) / static_cast<double>(last - first) : 0) +
                              smoothing / static_cast<double>(tags);
        total -= weight * target * (z[j] - top - std::log(sum));
      } else {
        const double target = (tagged ? 1 - smoothing : 0) + smoothing / 2;
        total +=
            weight * (std::max(z[j], 0.0) + std::log1p(std::exp(-std::abs(z[j]))) - target * z[j]);
      }
    }
  }
  return total / static_cast<double>(rows);
}

/// Mean over rows of the loss against a teacher's scores that spec.h defines.
inline double reference_teacher_loss(LossKind kind, double temperature, const Doubles& logits,
                                     const Doubles& teacher, int64_t n) {
  const auto rows = static_cast<size_t>(n);
  const size_t tags = logits.size() / rows;
  double total = 0;
  for (size_t row = 0; row < logits.size(); row += tags) {
    const auto softened = [&](const Doubles& scores) {
      Doubles result(tags);
      for (size_t j = 0; j < tags; ++j) result[j] = scores[row + j] / temperature;
      return result;
    };
    const Doubles s = softened(logits), t = softened(teacher);
    if (kind == LossKind::softmax) {
      const auto log_sum = [](const Doubles& scores) {
        const double top = *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (const double score : scores) sum += std::exp(score - top);
        return top + std::log(sum);
      };
      const double own = log_sum(s), theirs = log_sum(t);
      for (size_t j = 0; j < tags; ++j) {
        total += std::exp(t[j] - theirs) * ((t[j] - theirs) - (s[j] - own));
      }
    } else {
      for (size_t j = 0; j < tags; ++j) {
        const double target = 1 / (1 + std::exp(-t[j]));
        total += std::max(s[j], 0.0) + std::log1p(std::exp(-std::abs(s[j]))) - target * s[j];
      }
    }
  }
  return temperature * temperature * total / static_cast<double>(rows);
}

}  // namespace hardmoe
