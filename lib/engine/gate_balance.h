// The arithmetic of the losses that keep experts equally busy, for both engines: what becomes of the
// sums over all rows, and one row's part in the load.
#pragma once

#include <math.h>

#include <cstdint>

#include "engine/both_engines.h"
#include "engine/gate_choice.h"

namespace hardmoe {

/// Returns the squared coefficient of variation of the sums of n experts, variance/(mean² + ε)
/// (Shazeer et al. 2017, equation 7), and writes `factor` times its derivative by each sum. The
/// variance is divided by n − ddof. One expert alone has 0.
HARDMOE_BOTH_ENGINES double squared_variation(const float* sums, int n, int ddof, double epsilon,
                                              double factor, float* slopes) {
  if (n == 1) {
    slopes[0] = 0;
    return static_cast<double>(sums[0]) * 0;  // NaN stays one
  }
  double total = 0, variance = 0;
  for (int i = 0; i < n; ++i) total += static_cast<double>(sums[i]);
  const double mean = total / n;
  for (int i = 0; i < n; ++i) {
    const double away = static_cast<double>(sums[i]) - mean;
    variance += away * away / (n - ddof);
  }
  const double square = mean * mean + epsilon;
  for (int i = 0; i < n; ++i) {
    const double away = static_cast<double>(sums[i]) - mean;
    const double slope =
        2 * away / (n - ddof) / square - 2 * variance * mean / (n * square * square);
    slopes[i] = static_cast<float>(factor * slope);
  }
  return variance / square;
}

/// Returns the divergence of p_i = sum_i/rows from equal shares, Σ p_i log(p_i·n), and writes
/// `factor` times its derivative by each sum. A share of 0 adds 0, and has no slope: no gate of its
/// could take one.
HARDMOE_BOTH_ENGINES double divergence_of_shares(const float* sums, int n, double rows,
                                                 double factor, float* slopes) {
  double divergence = 0;
  for (int i = 0; i < n; ++i) {
    slopes[i] = 0;
    const double share = static_cast<double>(sums[i]) / rows;
    if (share == 0) continue;
    const double distance = log(share * n);
    divergence += share * distance;
    slopes[i] = static_cast<float>(factor * (distance + 1) / rows);
  }
  return divergence;
}

/// What the losses importance and divergence compute, of rows×experts gates.
struct Balance {
  bool divergence = false;
  int ddof = 0;
  double weight = 1;
  int experts = 0;
  int64_t rows = 0;

  /// Returns the loss of the gates' sums, and writes the gradient, times the weight, of every gate of
  /// each expert.
  HARDMOE_BOTH_ENGINES double of(const float* sums, float* slopes) const {
    if (divergence) {
      return divergence_of_shares(sums, experts, static_cast<double>(rows), weight, slopes);
    }
    return squared_variation(sums, experts, ddof, ddof == 0 ? 0 : 1e-10, weight, slopes);
  }
};

/// A row as the load loss sees it: how probable it is that expert i would be among the k largest if
/// its noise were drawn again, P_i = Φ((clean_i − t_i)/σ_i), where t_i is a noisy logit. 1 for all if
/// k is their number.
struct LoadRow {
  const float* clean = nullptr;
  const float* noisy = nullptr;
  const float* sigma = nullptr;  ///< null: `deviation` for all
  float deviation = 1;
  bool excluding = true;  ///< whether t_i is the k-th largest of the others, or of all
  int experts = 0;
  int k = 1;
  int kth = 0,
      next = -1;  ///< the experts of the k-th and the (k+1)-th largest noisy logit; -1: none

  /// Returns the same of the row that begins `offset` numbers later, with kth and next found.
  HARDMOE_BOTH_ENGINES LoadRow at(int64_t offset) const {
    LoadRow row = *this;
    row.clean += offset;
    row.noisy += offset;
    if (sigma != nullptr) row.sigma += offset;
    const GateRow order = {row.noisy, experts};
    row.next = next_choice(order, -1);
    for (int i = 0; i < k; ++i) {
      row.kth = row.next;
      row.next = next_choice(order, row.kth);
    }
    return row;
  }
  HARDMOE_BOTH_ENGINES bool is_against_next(int i) const {
    const bool chosen = i == kth || comes_before(noisy[i], i, noisy[kth], kth);
    return excluding && chosen;
  }
  HARDMOE_BOTH_ENGINES float sigma_at(int i) const {
    return sigma == nullptr ? deviation : sigma[i];
  }
  /// (clean_i − t_i)/σ_i.
  HARDMOE_BOTH_ENGINES float distance(int i) const {
    return (clean[i] - noisy[is_against_next(i) ? next : kth]) / sigma_at(i);
  }
  /// Whether all experts are chosen and each one's threshold leaves itself out: then none has one.
  HARDMOE_BOTH_ENGINES bool always() const { return excluding && next < 0; }
  HARDMOE_BOTH_ENGINES float probability(int i) const {
    return always() ? 1 : 0.5F * erfcf(-0.707106781F * distance(i));
  }
  /// Writes the gradients of Σ slopes_i·P_i. Each of the three may be empty: not wanted.
  template <class Numbers>
  HARDMOE_BOTH_ENGINES void differentiate(const float* slopes, const Numbers& d_clean,
                                          const Numbers& d_noisy, const Numbers& d_sigma) const {
    float of_kth = 0, of_next = 0;
    for (int i = 0; i < experts; ++i) {
      const float z = always() ? 0 : distance(i);
      const float slope =
          always() ? 0 : slopes[i] * (0.39894228F * expf(-0.5F * z * z)) / sigma_at(i);
      if (is_against_next(i)) {
        of_next -= slope;
      } else {
        of_kth -= slope;
      }
      if (d_clean) d_clean.set(i, slope);
      if (d_sigma) d_sigma.set(i, -slope * z);
    }
    for (int i = 0; d_noisy && i < experts; ++i) {
      d_noisy.set(i, i == kth ? of_kth : i == next ? of_next : 0.0F);
    }
  }
};

}  // namespace hardmoe
