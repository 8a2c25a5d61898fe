// The loss against a teacher's scores: see kernels.h.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/threads.h"
#include "engine/cpu/kernels.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t grain = 1 << 14;  // elements; not worth a second thread below this

/// Σ e^(z·inverse − top) of one row and its logarithm with top in it; the terms are left in `out`.
struct Softened {
  float total;
  double log_total;
};
Softened soften(const float* z, float inverse, int64_t v, float* out) {
  for (int64_t j = 0; j < v; ++j) out[j] = z[j] * inverse;
  const float top = *std::max_element(out, out + v);
  const float total = exponential_sum(out, top, v, out);
  return {total, std::log(static_cast<double>(total)) + static_cast<double>(top)};
}

/// τ²·KL(q ‖ p) of one row. `gradient` holds its slopes (not yet divided by n), `q` the teacher's
/// probabilities.
double softmax_row(float temperature, const float* z, const float* teacher, int64_t v,
                   float* gradient, float* q) {
  const float inverse = 1 / temperature;
  const Softened own = soften(z, inverse, v, gradient);
  const Softened theirs = soften(teacher, inverse, v, q);
  double divergence = own.log_total - theirs.log_total;  // Σq = 1
  for (int64_t j = 0; j < v; ++j) {
    q[j] /= theirs.total;
    divergence += static_cast<double>(q[j]) * static_cast<double>((teacher[j] - z[j]) * inverse);
    gradient[j] = temperature * (gradient[j] / own.total - q[j]);
  }
  return static_cast<double>(temperature) * static_cast<double>(temperature) * divergence;
}

double sigmoid_row(float temperature, const float* z, const float* teacher, int64_t v,
                   float* gradient, float*) {
  const float inverse = 1 / temperature;
  double loss = 0;
  for (int64_t j = 0; j < v; ++j) {
    const float s = z[j] * inverse;
    const float target = 1 / (1 + std::exp(-teacher[j] * inverse));
    loss +=
        static_cast<double>(std::max(s, 0.0F) + std::log1p(std::exp(-std::fabs(s))) - target * s);
    gradient[j] = temperature * (1 / (1 + std::exp(-s)) - target);
  }
  return static_cast<double>(temperature) * static_cast<double>(temperature) * loss;
}

}  // namespace

double teacher_loss(const LossSpec& spec, const float* logits, const float* teacher, int64_t n,
                    int64_t tags, double* row_loss, float* gradient) {
  const float share = spec.weight / static_cast<float>(n);
  const auto row = spec.kind == LossKind::softmax ? softmax_row : sigmoid_row;
  parallel_for(n, grain / tags + 1, [&](int64_t begin, int64_t end) {
    std::vector<float> room(static_cast<size_t>(tags));
    for (int64_t i = begin; i < end; ++i) {
      float* slope = gradient + i * tags;
      row_loss[i] =
          row(spec.temperature, logits + i * tags, teacher + i * tags, tags, slope, room.data());
      for (int64_t j = 0; j < tags; ++j) slope[j] *= share;
    }
  });
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += row_loss[i];
  return total / static_cast<double>(n);
}

}  // namespace hardmoe::cpu
