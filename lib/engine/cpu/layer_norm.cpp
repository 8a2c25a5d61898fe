#include "engine/ops/layer_norm.h"

#include <cmath>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

/// What a position's channels have in common.
struct Moments {
  float mean, inverse_deviation;
};

HARDMOE_VECTOR_KERNEL Moments moments_of(const float* x, int64_t n, float epsilon) {
  const auto size = static_cast<float>(n);
  Vec total = {};
  float rest = 0;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) total += load(x + i);
  for (; i < n; ++i) rest += x[i];
  const float mean = (sum(total) + rest) / size;
  Vec squares = {};
  rest = 0;
  for (i = 0; i + lanes <= n; i += lanes) {
    const Vec d = load(x + i) - mean;
    squares += d * d;
  }
  for (; i < n; ++i) rest += (x[i] - mean) * (x[i] - mean);
  return {mean, 1 / std::sqrt((sum(squares) + rest) / size + epsilon)};
}

HARDMOE_VECTOR_KERNEL void normalize(const float* x, Moments m, const float* gamma,
                                     const float* beta, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) {
    y[i] = (x[i] - m.mean) * m.inverse_deviation * gamma[i] + beta[i];
  }
}

/// With x̂ = (x−μ)/σ and g = dy: dγ += g·x̂, dβ += g,
/// dx = (g·γ − mean(g·γ) − x̂·mean(g·γ·x̂))/σ. dx may be dy.
HARDMOE_VECTOR_KERNEL void differentiate(const float* x, const float* dy, Moments m,
                                         const float* gamma, int64_t n, float* d_gamma,
                                         float* d_beta, float* dx) {
  Vec first = {}, second = {};
  float rest[2] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Vec normal = (load(x + i) - m.mean) * m.inverse_deviation;
    const Vec g = load(dy + i);
    store(d_gamma + i, load(d_gamma + i) + g * normal);
    store(d_beta + i, load(d_beta + i) + g);
    const Vec scaled = g * load(gamma + i);
    first += scaled;
    second += scaled * normal;
  }
  for (; i < n; ++i) {
    const float normal = (x[i] - m.mean) * m.inverse_deviation;
    d_gamma[i] += dy[i] * normal;
    d_beta[i] += dy[i];
    rest[0] += dy[i] * gamma[i];
    rest[1] += dy[i] * gamma[i] * normal;
  }
  const float mean_first = (sum(first) + rest[0]) / static_cast<float>(n);
  const float mean_second = (sum(second) + rest[1]) / static_cast<float>(n);
  for (i = 0; i < n; ++i) {
    const float normal = (x[i] - m.mean) * m.inverse_deviation;
    dx[i] = (dy[i] * gamma[i] - mean_first - normal * mean_second) * m.inverse_deviation;
  }
}

constexpr int64_t sum_rows = 256;  // positions summed in float before the sums move on to double

class LayerNormLayer final : public Layer {
 public:
  LayerNormLayer(const LayerNorm& op, LayerBuilder& builder)
      : epsilon_(op.epsilon),
        channels_(builder.output().extent.channels),
        positions_(builder.rows() * builder.output().extent.positions()),
        shares_(std::clamp<int64_t>(positions_ * channels_ / (1 << 14), 1, compute_threads())),
        weight_(builder.parameter(".weight")),
        bias_(builder.parameter(".bias")),
        rooms_(static_cast<size_t>(shares_ * 5 * channels_)),
        sums_(static_cast<size_t>(shares_ * 2 * channels_)) {}

  int64_t saved_bytes() const override {
    return positions_ * static_cast<int64_t>(sizeof(Moments));
  }

  Work work(const Step& step, const Arrays& arrays) override {
    return step.pass == Pass::forward ? forward(step, arrays) : backward(step, arrays);
  }

 private:
  /// The position's channels as float32, where they lie or converted into `room`.
  const float* read(Activations array, int64_t position, float* room) const {
    const Activations row = from_element(array, position * channels_);
    if (row.precision == Precision::fp32) return static_cast<const float*>(row.data);
    to_float(row, channels_, room);
    return room;
  }
  void write(const float* values, Activations array, int64_t position) const {
    from_float(values, channels_, from_element(array, position * channels_));
  }
  /// Calls body(first position, last, the share's number) on all threads.
  template <class Body>
  void for_shares(const Body& body) const {
    parallel_for(shares_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t share = begin; share < end; ++share) {
        body(positions_ * share / shares_, positions_ * (share + 1) / shares_, share);
      }
    });
  }
  float* room(int64_t share, int64_t number) {
    return rooms_.data() + (share * 5 + number) * channels_;
  }

  Work forward(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), y = arrays.activations(step.y);
    auto* moments = step.saved < 0 ? nullptr : reinterpret_cast<Moments*>(arrays.at(step.saved));
    return [=, this, gamma = arrays.weights(weight_), beta = arrays.weights(bias_)] {
      for_shares([&](int64_t begin, int64_t end, int64_t share) {
        for (int64_t p = begin; p < end; ++p) {
          const float* row = read(x, p, room(share, 0));
          const Moments m = moments_of(row, channels_, epsilon_);
          if (moments != nullptr) moments[p] = m;
          normalize(row, m, gamma, beta, channels_, room(share, 1));
          write(room(share, 1), y, p);
        }
      });
    };
  }

  Work backward(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), dy = arrays.activations(step.dy);
    const Activations dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]);
    const auto* moments = reinterpret_cast<const Moments*>(arrays.at(step.saved));
    return [=, this, gamma = arrays.weights(weight_), d_gamma = arrays.gradient(weight_),
            d_beta = arrays.gradient(bias_)] {
      const auto columns = static_cast<size_t>(channels_);
      for_shares([&](int64_t begin, int64_t end, int64_t share) {
        double* sums = sums_.data() + share * 2 * channels_;
        std::fill_n(sums, 2 * columns, 0.0);
        float* block = room(share, 3);  // d_gamma, d_beta of some positions
        for (int64_t first = begin; first < end; first += sum_rows) {
          std::fill_n(block, 2 * columns, 0.0F);
          for (int64_t p = first; p < std::min(end, first + sum_rows); ++p) {
            differentiate(read(x, p, room(share, 0)), read(dy, p, room(share, 1)), moments[p],
                          gamma, channels_, block, block + channels_, room(share, 2));
            if (dx) write(room(share, 2), dx, p);
          }
          for (size_t i = 0; i < 2 * columns; ++i) sums[i] += double{block[i]};
        }
      });
      for (size_t c = 0; c < columns; ++c) {
        double gamma_sum = 0, beta_sum = 0;
        for (int64_t share = 0; share < shares_; ++share) {
          const double* sums = sums_.data() + share * 2 * channels_;
          gamma_sum += sums[c];
          beta_sum += sums[columns + c];
        }
        d_gamma[c] = static_cast<float>(gamma_sum);
        d_beta[c] = static_cast<float>(beta_sum);
      }
    };
  }

  float epsilon_;
  int64_t channels_, positions_;
  int64_t shares_;  ///< of the positions, one a thread
  int weight_, bias_;
  std::vector<float> rooms_;  ///< of each share: rows as float32, and sums
  std::vector<double> sums_;  ///< of each share: d_gamma, d_beta
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerNorm& op, LayerBuilder& builder) {
  return std::make_unique<LayerNormLayer>(op, builder);
}

}  // namespace hardmoe::cpu
