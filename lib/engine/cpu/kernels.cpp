// Images in, pooling, loss, updates: see kernels.h.
#include "engine/cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t grain = 1 << 14;  // elements; not worth a second thread below this

/// Calls body with the array as its own type.
template <class Body>
void visit(Activations array, const Body& body) {
  if (array.precision == Precision::bf16) {
    body(static_cast<BFloat16*>(array.data));
  } else {
    body(static_cast<float*>(array.data));
  }
}

HARDMOE_VECTOR_KERNEL void pixels_to_float(const uint8_t* pixels, int64_t begin, int64_t end,
                                           const float* scale, const float* shift, float* out) {
  for (int64_t i = begin; i < end; ++i) {
    for (int c = 0; c < 3; ++c) {
      out[3 * i + c] = static_cast<float>(pixels[3 * i + c]) * scale[c] + shift[c];
    }
  }
}

template <class T>
HARDMOE_INLINE void to_float_range(const T* in, int64_t begin, int64_t end, float* out) {
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) store(out + i, load(in + i));
  for (; i < end; ++i) out[i] = load_one(in + i);
}
HARDMOE_VECTOR_KERNEL void bf16_to_float(const BFloat16* in, int64_t begin, int64_t end,
                                         float* out) {
  to_float_range(in, begin, end, out);
}

HARDMOE_VECTOR_KERNEL void float_to_bf16(const float* in, int64_t begin, int64_t end,
                                         BFloat16* out) {
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) store(out + i, load(in + i));
  for (; i < end; ++i) store_one(out + i, in[i]);
}

template <class T>
HARDMOE_INLINE void add_range(T* a, const T* b, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) store(a + i, load(a + i) + load(b + i));
  for (; i < end; ++i) store_one(a + i, load_one(a + i) + load_one(b + i));
}
HARDMOE_VECTOR_KERNEL void add_fp32(float* a, const float* b, int64_t begin, int64_t end) {
  add_range(a, b, begin, end);
}
HARDMOE_VECTOR_KERNEL void add_bf16(BFloat16* a, const BFloat16* b, int64_t begin, int64_t end) {
  add_range(a, b, begin, end);
}

/// Σ e^(z−top) of one row; the exponentials are left in `out`.
HARDMOE_VECTOR_KERNEL float exponentials(const float* z, float top, int64_t n, float* out) {
  Vec total = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Vec e = exponential(load(z + i) - top);
    store(out + i, e);
    total += e;
  }
  float rest = 0;
  for (; i < n; ++i) {
    out[i] = std::exp(z[i] - top);
    rest += out[i];
  }
  return sum(total) + rest;
}

template <bool pulled>
HARDMOE_INLINE void sgd_range(const Update& u, int64_t begin, int64_t end) {
  const float decay = u.spec.weight_decay;
  const float momentum = u.spec.momentum;
  const float keep = u.spec.nesterov ? 1.0F : 0.0F;  // share of the plain gradient
  const float ahead = u.spec.nesterov ? momentum : 1.0F;
  for (int64_t i = begin; i < end; ++i) {
    float g = u.gradients[i] + decay * u.weights[i];
    if constexpr (pulled) g += u.spec.pull * (u.weights[i] - u.origin[i]);
    const float velocity = momentum * u.first[i] + g;
    u.first[i] = velocity;
    u.weights[i] -= u.lr * (keep * g + ahead * velocity);
  }
}
HARDMOE_VECTOR_KERNEL void update_sgd(const Update& u, int64_t begin, int64_t end) {
  sgd_range<false>(u, begin, end);
}
HARDMOE_VECTOR_KERNEL void update_pulled_sgd(const Update& u, int64_t begin, int64_t end) {
  sgd_range<true>(u, begin, end);
}

struct AdamFactors {
  float step_size;        // lr / (1 − beta1^t)
  float root_correction;  // 1 / √(1 − beta2^t)
};

template <bool pulled>
HARDMOE_INLINE void adamw_range(const Update& u, AdamFactors f, int64_t begin, int64_t end) {
  const float beta1 = u.spec.momentum;
  const float beta2 = u.spec.beta2;
  const float shrink = 1 - u.lr * u.spec.weight_decay;
  const float pull = u.lr * u.spec.pull;
  for (int64_t i = begin; i < end; ++i) {
    const float g = u.gradients[i];
    const float m = beta1 * u.first[i] + (1 - beta1) * g;
    const float v = beta2 * u.second[i] + (1 - beta2) * g * g;
    u.first[i] = m;
    u.second[i] = v;
    float w = u.weights[i] * shrink -
              f.step_size * m / (__builtin_sqrtf(v) * f.root_correction + u.spec.epsilon);
    if constexpr (pulled) w -= pull * (u.weights[i] - u.origin[i]);
    u.weights[i] = w;
  }
}
HARDMOE_VECTOR_KERNEL void update_adamw(const Update& u, AdamFactors f, int64_t begin,
                                        int64_t end) {
  adamw_range<false>(u, f, begin, end);
}
HARDMOE_VECTOR_KERNEL void update_pulled_adamw(const Update& u, AdamFactors f, int64_t begin,
                                               int64_t end) {
  adamw_range<true>(u, f, begin, end);
}

HARDMOE_VECTOR_KERNEL void average_range(float decay, const float* weights, float* average,
                                         int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    average[i] = decay * average[i] + (1 - decay) * weights[i];
  }
}

/// Softmax loss of one row; `gradient` holds dloss/dlogits (not yet divided by n).
double softmax_row(float smoothing, const float* z, const int32_t* tags, int64_t k, int64_t v,
                   float* gradient) {
  if (k == 0) {
    std::fill(gradient, gradient + v, 0.0F);
    return 0;
  }
  const float top = *std::max_element(z, z + v);
  const float total = exponentials(z, top, v, gradient);
  const double log_total = std::log(static_cast<double>(total)) + static_cast<double>(top);
  const float spread = smoothing / static_cast<float>(v);
  const float share = (1 - smoothing) / static_cast<float>(k);
  double loss = log_total;  // Σt = 1
  for (int64_t i = 0; i < k; ++i)
    loss -= static_cast<double>(share) * static_cast<double>(z[tags[i]]);
  if (smoothing > 0) {
    for (int64_t j = 0; j < v; ++j) loss -= static_cast<double>(spread) * static_cast<double>(z[j]);
  }
  for (int64_t j = 0; j < v; ++j) gradient[j] = gradient[j] / total - spread;
  for (int64_t i = 0; i < k; ++i) gradient[tags[i]] -= share;
  return loss;
}

double sigmoid_row(float smoothing, const float* z, const int32_t* tags, int64_t k, int64_t v,
                   float* gradient) {
  const float low = smoothing / 2;
  double loss = 0;
  for (int64_t j = 0; j < v; ++j) {
    const float p = 1 / (1 + std::exp(-z[j]));
    loss += static_cast<double>(std::max(z[j], 0.0F) + std::log1p(std::exp(-std::fabs(z[j]))) -
                                low * z[j]);
    gradient[j] = p - low;
  }
  for (int64_t i = 0; i < k; ++i) {
    loss -= static_cast<double>((1 - smoothing) * z[tags[i]]);
    gradient[tags[i]] -= 1 - smoothing;
  }
  return loss;
}

}  // namespace

void normalize_images(const uint8_t* pixels, int64_t n, const float mean[3],
                      const float deviation[3], Activations out) {
  float scale[3], shift[3];
  for (int c = 0; c < 3; ++c) {
    scale[c] = 1 / deviation[c];
    shift[c] = -mean[c] / deviation[c];
  }
  constexpr int64_t chunk = 256;  // pixels, for bf16: converted through a small float buffer
  parallel_for(n, grain / 3, [&](int64_t begin, int64_t end) {
    if (out.precision == Precision::fp32) {
      pixels_to_float(pixels, begin, end, scale, shift, static_cast<float*>(out.data));
      return;
    }
    float buffer[3 * chunk];
    for (int64_t i = begin; i < end; i += chunk) {
      const int64_t count = std::min(chunk, end - i);
      pixels_to_float(pixels + 3 * i, 0, count, scale, shift, buffer);
      float_to_bf16(buffer, 0, 3 * count, static_cast<BFloat16*>(out.data) + 3 * i);
    }
  });
}

void convert(const float* in, int64_t n, Activations out) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    if (out.precision == Precision::bf16) {
      float_to_bf16(in, begin, end, static_cast<BFloat16*>(out.data));
    } else {
      std::copy(in + begin, in + end, static_cast<float*>(out.data) + begin);
    }
  });
}

void to_bf16(const float* in, int64_t n, BFloat16* out) { float_to_bf16(in, 0, n, out); }

void add_to(float* sum, const float* term, int64_t n) { add_fp32(sum, term, 0, n); }

void to_float(Activations in, int64_t n, float* out) {
  if (in.precision == Precision::bf16) {
    bf16_to_float(static_cast<const BFloat16*>(in.data), 0, n, out);
  } else {
    std::copy_n(static_cast<const float*>(in.data), n, out);
  }
}

void from_float(const float* in, int64_t n, Activations out) {
  if (out.precision == Precision::bf16) {
    to_bf16(in, n, static_cast<BFloat16*>(out.data));
  } else {
    std::copy_n(in, n, static_cast<float*>(out.data));
  }
}

void add_in_place(Activations a, Activations b, int64_t n) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    if (a.precision == Precision::bf16) {
      add_bf16(static_cast<BFloat16*>(a.data), static_cast<const BFloat16*>(b.data), begin, end);
    } else {
      add_fp32(static_cast<float*>(a.data), static_cast<const float*>(b.data), begin, end);
    }
  });
}

void copy_activations(Activations in, int64_t n, Activations out) {
  visit(in, [&](const auto* from) {
    auto* to = static_cast<std::remove_const_t<std::remove_pointer_t<decltype(from)>>*>(out.data);
    parallel_for(n, grain, [&](int64_t begin, int64_t end) {
      std::copy(from + begin, from + end, to + begin);
    });
  });
}

void frozen_norm_backward(const FrozenNormBackward& args) {
  const int64_t channels = args.channels;
  visit(args.dy, [&](auto* dy) {
    using T = std::remove_pointer_t<decltype(dy)>;
    const auto* y = static_cast<const T*>(args.y.data);
    const auto* dy2 = static_cast<const T*>(args.dy2.data);
    auto* dx = static_cast<T*>(args.dx.data);
    parallel_for(args.rows, grain / channels + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * channels, c = 0; i < end * channels; ++i) {
        float g = load_one(dy + i);
        if (dy2 != nullptr) g += load_one(dy2 + i);
        if (y != nullptr && !(load_one(y + i) > 0)) g = 0;
        store_one(dy + i, g);
        if (dx != nullptr) store_one(dx + i, g * args.scale[c]);
        if (++c == channels) c = 0;
      }
    });
  });
}

void average_pool(Activations x, int64_t n, int64_t positions, int64_t channels, float* out) {
  visit(x, [&](const auto* in) {
    parallel_for(n, grain / (positions * channels) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* sums = out + i * channels;
        std::fill(sums, sums + channels, 0.0F);
        const auto* row = in + i * positions * channels;
        for (int64_t p = 0; p < positions; ++p, row += channels) {
          for (int64_t c = 0; c < channels; ++c) sums[c] += load_one(row + c);
        }
        for (int64_t c = 0; c < channels; ++c) sums[c] /= static_cast<float>(positions);
      }
    });
  });
}

void average_pool_backward(Activations dy, int64_t n, int64_t positions, int64_t channels,
                           Activations dx) {
  const float share = 1 / static_cast<float>(positions);
  visit(dy, [&](auto* in) {
    auto* result = static_cast<decltype(in)>(dx.data);
    parallel_for(n, grain / (positions * channels) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        auto* row = result + i * positions * channels;
        for (int64_t c = 0; c < channels; ++c) {
          store_one(row + c, load_one(in + i * channels + c) * share);
        }
        for (int64_t p = 1; p < positions; ++p) std::copy_n(row, channels, row + p * channels);
      }
    });
  });
}

double tag_loss(const LossSpec& spec, const float* logits, Targets targets, int64_t n, int64_t tags,
                double* row_loss, float* gradient) {
  const float share = spec.weight / static_cast<float>(n);
  const auto row = spec.kind == LossKind::softmax ? softmax_row : sigmoid_row;
  parallel_for(n, grain / tags + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* slope = gradient + i * tags;
      const float weight = targets.weights == nullptr ? 1.0F : targets.weights[i];
      row_loss[i] = double{weight} * row(spec.label_smoothing, logits + i * tags,
                                         targets.ids + targets.ptr[i],
                                         targets.ptr[i + 1] - targets.ptr[i], tags, slope);
      for (int64_t j = 0; j < tags; ++j) slope[j] *= weight * share;
    }
  });
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += row_loss[i];
  return total / static_cast<double>(n);
}

float exponential_sum(const float* z, float top, int64_t n, float* out) {
  return exponentials(z, top, n, out);
}

void update_weights(const Update& update) {
  const bool pulled = update.spec.pull != 0;
  parallel_for(update.n, grain, [&](int64_t begin, int64_t end) {
    if (update.spec.kind == OptimizerKind::sgd) {
      (pulled ? update_pulled_sgd : update_sgd)(update, begin, end);
      return;
    }
    const double t = static_cast<double>(update.step);
    const double first = 1 - std::pow(static_cast<double>(update.spec.momentum), t);
    const double second = 1 - std::pow(static_cast<double>(update.spec.beta2), t);
    const AdamFactors factors = {static_cast<float>(static_cast<double>(update.lr) / first),
                                 static_cast<float>(1 / std::sqrt(second))};
    (pulled ? update_pulled_adamw : update_adamw)(update, factors, begin, end);
  });
}

void scale(float* values, int64_t n, float factor) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) values[i] *= factor;
  });
}

void average_weights(float decay, const float* weights, float* average, int64_t n) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    average_range(decay, weights, average, begin, end);
  });
}

}  // namespace hardmoe::cpu
