// How one row of gate values chooses its experts, for both engines: the order of values, the k
// largest, the gates they become, and the gradient of that.
#pragma once

#include <math.h>

#include <cstdint>

#include "engine/both_engines.h"

namespace hardmoe {

/// Returns whether value a of expert i comes before value b of expert j: the larger one; a NaN
/// before all numbers; of equal ones the one of the lower number.
HARDMOE_BOTH_ENGINES bool comes_before(float a, int i, float b, int j) {
  const bool undefined_a = a != a, undefined_b = b != b;
  if (undefined_a != undefined_b) return undefined_a;
  return undefined_a || a == b ? i < j : a > b;
}

/// A row of values, one an expert; experts may be masked.
struct GateRow {
  const float* values = nullptr;
  int experts = 0;
  const float* running = nullptr;  ///< masked: those whose number here is above the threshold
  float threshold = 0;

  HARDMOE_BOTH_ENGINES bool masked(int i) const {
    return running != nullptr && running[i] > threshold;
  }
  HARDMOE_BOTH_ENGINES float at(int i) const { return masked(i) ? -INFINITY : values[i]; }
  /// Lifts the masks if no expert would be left.
  HARDMOE_BOTH_ENGINES void keep_one() {
    for (int i = 0; i < experts; ++i) {
      if (!masked(i)) return;
    }
    running = nullptr;
  }
};

/// Returns the expert that comes next after `last` (-1: the first of all); -1 if there is none.
HARDMOE_BOTH_ENGINES int next_choice(const GateRow& row, int last) {
  int best = -1;
  for (int i = 0; i < row.experts; ++i) {
    const float value = row.at(i);
    if (last >= 0 && !comes_before(row.at(last), last, value, i)) continue;
    if (best < 0 || comes_before(value, i, row.at(best), best)) best = i;
  }
  return best;
}

/// Writes the gates of a row: of the first k experts that are not masked the values, or with
/// `softmax` their softmax over these k; 0 for all others. A NaN among them stays one.
HARDMOE_BOTH_ENGINES void choose_gates(const GateRow& row, int k, bool softmax, float* gates) {
  for (int i = 0; i < row.experts; ++i) gates[i] = 0;
  int expert = next_choice(row, -1);
  const float top = row.at(expert);
  float total = 0;
  for (int choice = 0; choice < k && !row.masked(expert); ++choice) {
    gates[expert] = softmax ? expf(row.at(expert) - top) : row.at(expert);
    total += gates[expert];
    expert = next_choice(row, expert);
    if (expert < 0) break;
  }
  for (int i = 0; softmax && i < row.experts; ++i) {
    if (gates[i] != 0) gates[i] /= total;
  }
}

/// Writes the softmax of all values of a row.
HARDMOE_BOTH_ENGINES void softmax_gates(const float* x, int experts, float* gates) {
  float top = x[0];
  for (int i = 1; i < experts; ++i) top = x[i] > top ? x[i] : top;
  float total = 0;
  for (int i = 0; i < experts; ++i) total += gates[i] = expf(x[i] - top);
  for (int i = 0; i < experts; ++i) gates[i] /= total;
}

/// Turns the gradient of a row's gates into that of the values they came from, in place. `Numbers`
/// has at(i) and set(i, value). Where a gate is 0, nobody was chosen, and no gradient goes.
template <class Numbers>
HARDMOE_BOTH_ENGINES void differentiate_gates(const float* gates, int experts, bool softmax,
                                              const Numbers& gradient) {
  float common = 0;
  for (int i = 0; softmax && i < experts; ++i) {
    if (gates[i] != 0) common += gates[i] * gradient.at(i);
  }
  for (int i = 0; i < experts; ++i) {
    const float slope = softmax ? gates[i] * (gradient.at(i) - common) : gradient.at(i);
    gradient.set(i, gates[i] != 0 ? slope : 0.0F);
  }
}

}  // namespace hardmoe
