// A gate's operators and losses in double precision, by their definitions: what reference_network.h
// asks for, and what the tests of gates compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "nn/network.h"

namespace hardmoe {

/// Standard normal numbers of elements 0 … n−1 of an operator, by Box and Muller from Random's words.
inline std::vector<double> reference_noise(uint64_t seed, uint64_t step, uint64_t op, size_t n) {
  Random random(seed, RandomUse::noise, step | op << 32);
  std::vector<double> noise;
  while (noise.size() < n) {
    const double first = static_cast<double>(random.next_u32() >> 8) * 0x1p-24;
    const double second = static_cast<double>(random.next_u32() >> 8) * 0x1p-24;
    const double radius = std::sqrt(-2 * std::log(1 - first));
    noise.push_back(radius * std::cos(2 * std::numbers::pi * second));
    noise.push_back(radius * std::sin(2 * std::numbers::pi * second));
  }
  noise.resize(n);
  return noise;
}

/// All experts of a row, the largest value first; of equal ones the one of the lower number.
inline std::vector<size_t> reference_order(const double* row, size_t experts) {
  std::vector<size_t> order(experts);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return row[a] > row[b]; });
  return order;
}

inline std::vector<double> reference_softmax(const std::vector<double>& x, size_t experts) {
  std::vector<double> y(x.size());
  for (size_t row = 0; row < x.size(); row += experts) {
    double total = 0;
    for (size_t i = 0; i < experts; ++i) total += y[row + i] = std::exp(x[row + i]);
    for (size_t i = 0; i < experts; ++i) y[row + i] /= total;
  }
  return y;
}

/// An attribute of an operator.
inline double attribute_or(const Op& op, const std::string& name, double fallback) {
  const auto found = op.attributes.find(name);
  return found == op.attributes.end() ? fallback : found->second;
}

/// `running`: of each expert; empty: nobody is masked.
inline std::vector<double> reference_top_k(const Op& op, const std::vector<double>& x,
                                           size_t experts, const std::vector<double>& running) {
  const auto k = static_cast<size_t>(op.attributes.at("k"));
  const bool mean = attribute_or(op, "constraint", 0) == 2;
  const double limit = attribute_or(op, "limit", mean ? 0.3 : 0.5);
  const double threshold = mean ? 1 / static_cast<double>(experts) + limit : limit;
  std::vector<bool> masked(experts, false);
  for (size_t i = 0; i < running.size(); ++i) masked[i] = running[i] > threshold;
  if (std::find(masked.begin(), masked.end(), false) == masked.end()) masked.assign(experts, false);
  std::vector<double> y(x.size(), 0.0);
  for (size_t row = 0; row < x.size(); row += experts) {
    std::vector<double> values(x.begin() + static_cast<ptrdiff_t>(row),
                               x.begin() + static_cast<ptrdiff_t>(row + experts));
    for (size_t i = 0; i < experts; ++i) {
      if (masked[i]) values[i] = -std::numeric_limits<double>::infinity();
    }
    const auto order = reference_order(values.data(), experts);
    double total = 0;
    for (size_t i = 0; i < k; ++i) total += std::exp(values[order[i]]);
    for (size_t i = 0; i < k; ++i) {
      if (masked[order[i]]) continue;
      const double value = values[order[i]];
      y[row + order[i]] = attribute_or(op, "softmax", 1) != 0 ? std::exp(value) / total : value;
    }
  }
  return y;
}

/// `group`: rows.
inline std::vector<double> reference_capacity(const Op& op, const std::vector<double>& x,
                                              size_t experts, size_t group, bool training) {
  const auto k = static_cast<size_t>(op.attributes.at("k"));
  const auto priority = static_cast<int>(attribute_or(op, "priority", 0));
  std::vector<double> y(x.size(), 0.0);
  const size_t rows = x.size() / experts;
  for (size_t first = 0; first < rows; first += group) {
    const size_t size = std::min(group, rows - first);
    const double even = static_cast<double>(size * k) * op.attributes.at("factor");
    const double room = std::ceil(std::ceil(even / static_cast<double>(experts)) / 4) * 4;
    std::vector<size_t> served(size);
    std::iota(served.begin(), served.end(), first);
    if ((priority & (training ? 1 : 2)) != 0) {
      const auto largest = [&](size_t row) {
        return *std::max_element(x.begin() + static_cast<ptrdiff_t>(row * experts),
                                 x.begin() + static_cast<ptrdiff_t>((row + 1) * experts));
      };
      std::stable_sort(served.begin(), served.end(),
                       [&](size_t a, size_t b) { return largest(a) > largest(b); });
    }
    std::vector<double> taken(experts, 0.0);
    for (size_t choice = 0; choice < k; ++choice) {
      for (const size_t row : served) {
        const size_t expert = reference_order(x.data() + row * experts, experts)[choice];
        const double gate = x[row * experts + expert];
        if (gate != 0 && taken[expert]++ < room) y[row * experts + expert] = gate;
      }
    }
  }
  return y;
}

/// How near two values are whose order decides what a top-k or a capacity does.
inline double nearest_choices(const Op& op, const std::vector<double>& x, size_t experts) {
  double nearest = 1;
  if (op.type != "top_k" && op.type != "capacity") return nearest;
  std::vector<double> largest;
  for (size_t row = 0; row < x.size(); row += experts) {
    std::vector<double> values(x.begin() + static_cast<ptrdiff_t>(row),
                               x.begin() + static_cast<ptrdiff_t>(row + experts));
    std::sort(values.begin(), values.end());
    largest.push_back(values.back());
    for (size_t i = 1; i < experts; ++i) {
      if (values[i] != 0) nearest = std::min(nearest, values[i] - values[i - 1]);
    }
  }
  std::sort(largest.begin(), largest.end());
  for (size_t i = 1; i < largest.size() && op.type == "capacity"; ++i) {
    nearest = std::min(nearest, largest[i] - largest[i - 1]);
  }
  return nearest;
}

/// Variance over squared mean.
inline double reference_variation(const std::vector<double>& sums, int ddof, double epsilon) {
  const auto n = static_cast<double>(sums.size());
  const double mean = std::accumulate(sums.begin(), sums.end(), 0.0) / n;
  double variance = 0;
  for (const double sum : sums) variance += (sum - mean) * (sum - mean) / (n - ddof);
  return variance / (mean * mean + epsilon);
}

inline std::vector<double> reference_sums(const std::vector<double>& x, size_t experts) {
  std::vector<double> sums(experts, 0.0);
  for (size_t i = 0; i < x.size(); ++i) sums[i % experts] += x[i];
  return sums;
}

inline double reference_importance(const std::vector<double>& gates, size_t experts, int ddof) {
  return reference_variation(reference_sums(gates, experts), ddof, ddof == 0 ? 0 : 1e-10);
}

inline double reference_divergence(const std::vector<double>& gates, size_t experts) {
  const auto rows = static_cast<double>(gates.size() / experts);
  double divergence = 0;
  for (const double sum : reference_sums(gates, experts)) {
    const double share = sum / rows;
    if (share > 0) divergence += share * std::log(share * static_cast<double>(experts));
  }
  return divergence;
}

/// `sigma`: of each logit.
inline double reference_load(const std::vector<double>& clean, const std::vector<double>& noisy,
                             const std::vector<double>& sigma, size_t experts, size_t k,
                             bool excluding) {
  if (k == experts) return 0;
  std::vector<double> p(clean.size());
  for (size_t row = 0; row < clean.size(); row += experts) {
    const auto order = reference_order(noisy.data() + row, experts);
    for (size_t place = 0; place < experts; ++place) {
      const size_t i = row + order[place];
      const double threshold = noisy[row + order[excluding && place < k ? k : k - 1]];
      p[i] = 0.5 * std::erfc(-(clean[i] - threshold) / sigma[i] / std::sqrt(2.0));
    }
  }
  return reference_variation(reference_sums(p, experts), 0, 0);
}

}  // namespace hardmoe
