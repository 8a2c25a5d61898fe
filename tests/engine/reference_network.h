// A Network run plainly in double precision, for the engines to be compared with: loops that follow
// the definitions, nothing fused, nothing fast. Activations are N×H×W×C, parameters as PyTorch lays
// them out.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "engine/spec.h"
#include "nn/batch.h"
#include "nn/network.h"

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

inline Doubles reference_conv(const Op& op, const Extent& in, const Extent& out, const Doubles& x,
                              const Doubles& weight, int64_t n) {
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

inline Doubles reference_max_pool(const Op& op, const Extent& in, const Extent& out,
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

/// Every value of the network for the first `batch.size` rows.
inline std::vector<Doubles> reference_forward(const Network& network,
                                              const ReferenceWeights& weights, const Batch& batch,
                                              bool training) {
  const int64_t n = batch.size;
  std::vector<Doubles> values(1);
  values[0].resize(static_cast<size_t>(n * network.values[0].elements()));
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
    const Extent& in = network.values[input];
    const Extent& out = network.values[op_index + 1];
    const Doubles& x = values[input];
    Doubles y;
    switch (op.kind) {
      case OpKind::conv:
        y = reference_conv(op, in, out, x, weights.at(op.name + ".weight"), n);
        break;
      case OpKind::batch_norm:
        y = reference_norm(op.name, in.channels, x, weights, training);
        break;
      case OpKind::relu:
        for (const double v : x) y.push_back(std::max(v, 0.0));
        break;
      case OpKind::add:
        for (size_t i = 0; i < x.size(); ++i) {
          y.push_back(x[i] + values[static_cast<size_t>(op.inputs[1])][i]);
        }
        break;
      case OpKind::max_pool:
        y = reference_max_pool(op, in, out, x, n);
        break;
      case OpKind::global_avg_pool:
        y.resize(static_cast<size_t>(n * in.channels));
        for (size_t i = 0; i < x.size(); ++i) {
          const size_t image = i / static_cast<size_t>(in.elements());
          const auto channels = static_cast<size_t>(in.channels);
          y[image * channels + i % channels] += x[i] / static_cast<double>(in.height * in.width);
        }
        break;
      case OpKind::linear: {
        const Doubles& weight = weights.at(op.name + ".weight");
        const auto width = static_cast<size_t>(in.elements());
        for (size_t row = 0; row < static_cast<size_t>(n); ++row) {
          for (size_t o = 0; o < static_cast<size_t>(out.channels); ++o) {
            double sum = weights.at(op.name + ".bias")[o];
            for (size_t i = 0; i < width; ++i) sum += weight[o * width + i] * x[row * width + i];
            y.push_back(sum);
          }
        }
        break;
      }
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
    const double top = *std::max_element(z, z + tags);
    double sum = 0;
    for (size_t j = 0; j < tags; ++j) sum += std::exp(z[j] - top);
    for (size_t j = 0; j < tags; ++j) {
      const bool tagged = std::find(first, last, static_cast<int32_t>(j)) != last;
      if (kind == LossKind::softmax) {
        const double target = (tagged ? (1 - smoothing) / static_cast<double>(last - first) : 0) +
                              smoothing / static_cast<double>(tags);
        total -= target * (z[j] - top - std::log(sum));
      } else {
        const double target = (tagged ? 1 - smoothing : 0) + smoothing / 2;
        total += std::max(z[j], 0.0) + std::log1p(std::exp(-std::abs(z[j]))) - target * z[j];
      }
    }
  }
  return total / static_cast<double>(rows);
}

}  // namespace hardmoe
