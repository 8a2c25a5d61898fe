// Batch norm with the add and ReLU that follow it. Each kernel walks column blocks of V vectors;
// bf16 activations take U rows at once so that V·U = 4 sums hide the latency of the adder.
#include <algorithm>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t sum_rows = 512;  // rows summed in float before the sums move on to double

/// Calls step(column, V, U) for blocks of 4, 2 and 1 vectors, then tail(column) for single columns.
template <class Step, class Tail>
HARDMOE_INLINE void for_column_blocks(int64_t channels, const Step& step, const Tail& tail) {
  int64_t c = 0;
  for (; c + 4 * lanes <= channels; c += 4 * lanes) step.template operator()<4, 1>(c);
  for (; c + 2 * lanes <= channels; c += 2 * lanes) step.template operator()<2, 2>(c);
  for (; c + lanes <= channels; c += lanes) step.template operator()<1, 4>(c);
  for (; c < channels; ++c) tail(c);
}

// ---- statistics
// -----------------------------------------------------------------------------------

/// Adds Σ(x−x0) and Σ(x−x0)² of rows [begin, end) to sums[0…C) and sums[C…2C); x0 is row 0.
template <class T>
HARDMOE_INLINE void statistics_range(const T* x, int64_t begin, int64_t end, int64_t channels,
                                     double* sums) {
  for (int64_t first = begin; first < end; first += sum_rows) {
    const int64_t last = std::min(end, first + sum_rows);
    const auto block = [&]<int V, int U>(int64_t c) {
      Vec origin[V], total[V * U] = {}, squares[V * U] = {};
      for (int v = 0; v < V; ++v) origin[v] = load(x + c + v * lanes);
      int64_t r = first;
      for (; r + U <= last; r += U) {
        for (int u = 0; u < U; ++u) {
          for (int v = 0; v < V; ++v) {
            const Vec d = load(x + (r + u) * channels + c + v * lanes) - origin[v];
            total[u * V + v] += d;
            squares[u * V + v] += d * d;
          }
        }
      }
      for (; r < last; ++r) {
        for (int v = 0; v < V; ++v) {
          const Vec d = load(x + r * channels + c + v * lanes) - origin[v];
          total[v] += d;
          squares[v] += d * d;
        }
      }
      for (int u = 1; u < U; ++u) {
        for (int v = 0; v < V; ++v) {
          total[v] += total[u * V + v];
          squares[v] += squares[u * V + v];
        }
      }
      for (int v = 0; v < V; ++v) {
        for (int64_t i = 0; i < lanes; ++i) {
          sums[c + v * lanes + i] += static_cast<double>(total[v][i]);
          sums[channels + c + v * lanes + i] += static_cast<double>(squares[v][i]);
        }
      }
    };
    for_column_blocks(channels, block, [&](int64_t c) {
      for (int64_t r = first; r < last; ++r) {
        const double d = load_one(x + r * channels + c) - load_one(x + c);
        sums[c] += d;
        sums[channels + c] += d * d;
      }
    });
  }
}

HARDMOE_VECTOR_KERNEL void statistics_fp32(const float* x, int64_t begin, int64_t end, int64_t c,
                                           double* sums) {
  statistics_range(x, begin, end, c, sums);
}
HARDMOE_VECTOR_KERNEL void statistics_bf16(const BFloat16* x, int64_t begin, int64_t end, int64_t c,
                                           double* sums) {
  statistics_range(x, begin, end, c, sums);
}

// ---- apply
// ----------------------------------------------------------------------------------------

struct ApplyArgs {
  const float* scale;
  const float* shift;
  bool relu;
  int64_t channels;
};

template <class T>
HARDMOE_INLINE void apply_range(const T* x, const T* residual, const ApplyArgs& args, int64_t begin,
                                int64_t end, T* y) {
  const int64_t channels = args.channels;
  const Vec floor = args.relu ? Vec{} : splat(-3.4e38F);
  const auto block = [&]<int V, int U>(int64_t c) {
    Vec scale[V], shift[V];
    for (int v = 0; v < V; ++v) {
      scale[v] = load(args.scale + c + v * lanes);
      shift[v] = load(args.shift + c + v * lanes);
    }
    if (residual != nullptr) {
      for (int64_t r = begin; r < end; ++r) {
        for (int v = 0; v < V; ++v) {
          const int64_t at = r * channels + c + v * lanes;
          store(y + at, max(load(x + at) * scale[v] + shift[v] + load(residual + at), floor));
        }
      }
    } else {
      for (int64_t r = begin; r < end; ++r) {
        for (int v = 0; v < V; ++v) {
          const int64_t at = r * channels + c + v * lanes;
          store(y + at, max(load(x + at) * scale[v] + shift[v], floor));
        }
      }
    }
  };
  for_column_blocks(channels, block, [&](int64_t c) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * channels + c;
      float value = load_one(x + at) * args.scale[c] + args.shift[c];
      if (residual != nullptr) value += load_one(residual + at);
      store_one(y + at, args.relu ? std::max(value, 0.0F) : value);
    }
  });
}

HARDMOE_VECTOR_KERNEL void apply_fp32(const float* x, const float* residual, const ApplyArgs& args,
                                      int64_t begin, int64_t end, float* y) {
  apply_range(x, residual, args, begin, end, y);
}
HARDMOE_VECTOR_KERNEL void apply_bf16(const BFloat16* x, const BFloat16* residual,
                                      const ApplyArgs& args, int64_t begin, int64_t end,
                                      BFloat16* y) {
  apply_range(x, residual, args, begin, end, y);
}

// ---- backward
// -------------------------------------------------------------------------------------

/// First pass: g = mask·(dy+dy2), kept in dy if asked; adds Σg and Σg·(x−mean) to sums.
template <class T>
HARDMOE_INLINE void reduce_range(const NormBackward& args, int64_t begin, int64_t end,
                                 double* sums) {
  const int64_t channels = args.channels;
  const T* x = static_cast<const T*>(args.x.data);
  const T* y = static_cast<const T*>(args.y.data);
  T* dy = static_cast<T*>(args.dy.data);
  const T* dy2 = static_cast<const T*>(args.dy2.data);
  const bool mask_from_y = args.relu && y != nullptr;
  const bool mask_from_x = args.relu && y == nullptr;
  for (int64_t first = begin; first < end; first += sum_rows) {
    const int64_t last = std::min(end, first + sum_rows);
    const auto block = [&]<int V, int U>(int64_t c) {
      Vec mean[V], scale[V], shift[V], total[V * U] = {}, products[V * U] = {};
      for (int v = 0; v < V; ++v) {
        mean[v] = load(args.mean + c + v * lanes);
        scale[v] = load(args.scale + c + v * lanes);
        shift[v] = load(args.shift + c + v * lanes);
      }
      const auto one = [&](int64_t at, int v, int slot) __attribute__((always_inline)) {
        const Vec in = load(x + at);
        Vec g = load(dy + at);
        if (dy2 != nullptr) g += load(dy2 + at);
        if (mask_from_y) g = where_positive(load(y + at), g);
        if (mask_from_x) g = where_positive(in * scale[v] + shift[v], g);
        if (args.keep_g) store(dy + at, g);
        total[slot] += g;
        products[slot] += g * (in - mean[v]);
      };
      int64_t r = first;
      for (; r + U <= last; r += U) {
        for (int u = 0; u < U; ++u) {
          for (int v = 0; v < V; ++v) one((r + u) * channels + c + v * lanes, v, u * V + v);
        }
      }
      for (; r < last; ++r) {
        for (int v = 0; v < V; ++v) one(r * channels + c + v * lanes, v, v);
      }
      for (int u = 1; u < U; ++u) {
        for (int v = 0; v < V; ++v) {
          total[v] += total[u * V + v];
          products[v] += products[u * V + v];
        }
      }
      for (int v = 0; v < V; ++v) {
        for (int64_t i = 0; i < lanes; ++i) {
          sums[c + v * lanes + i] += static_cast<double>(total[v][i]);
          sums[channels + c + v * lanes + i] += static_cast<double>(products[v][i]);
        }
      }
    };
    for_column_blocks(channels, block, [&](int64_t c) {
      for (int64_t r = first; r < last; ++r) {
        const int64_t at = r * channels + c;
        const float in = load_one(x + at);
        float g = load_one(dy + at) + (dy2 != nullptr ? load_one(dy2 + at) : 0.0F);
        if (mask_from_y && !(load_one(y + at) > 0)) g = 0;
        if (mask_from_x && !(in * args.scale[c] + args.shift[c] > 0)) g = 0;
        if (args.keep_g) store_one(dy + at, g);
        sums[c] += static_cast<double>(g);
        sums[channels + c] += static_cast<double>(g * (in - args.mean[c]));
      }
    });
  }
}

HARDMOE_VECTOR_KERNEL void reduce_fp32(const NormBackward& args, int64_t begin, int64_t end,
                                       double* sums) {
  reduce_range<float>(args, begin, end, sums);
}
HARDMOE_VECTOR_KERNEL void reduce_bf16(const NormBackward& args, int64_t begin, int64_t end,
                                       double* sums) {
  reduce_range<BFloat16>(args, begin, end, sums);
}

/// dx = a·g + b·x + c, per channel.
struct Affine {
  const float* a;
  const float* b;
  const float* c;
};

template <class T>
HARDMOE_INLINE void differentiate_range(const NormBackward& args, const Affine& affine,
                                        int64_t begin, int64_t end) {
  const int64_t channels = args.channels;
  const T* x = static_cast<const T*>(args.x.data);
  const T* g = static_cast<const T*>(args.dy.data);
  T* dx = static_cast<T*>(args.dx.data);
  const bool mask = args.relu && !args.keep_g;
  const auto block = [&]<int V, int U>(int64_t c) {
    Vec a[V], b[V], k[V], scale[V], shift[V];
    for (int v = 0; v < V; ++v) {
      a[v] = load(affine.a + c + v * lanes);
      b[v] = load(affine.b + c + v * lanes);
      k[v] = load(affine.c + c + v * lanes);
      scale[v] = load(args.scale + c + v * lanes);
      shift[v] = load(args.shift + c + v * lanes);
    }
    for (int64_t r = begin; r < end; ++r) {
      for (int v = 0; v < V; ++v) {
        const int64_t at = r * channels + c + v * lanes;
        const Vec in = load(x + at);
        Vec grad = load(g + at);
        if (mask) grad = where_positive(in * scale[v] + shift[v], grad);
        store(dx + at, grad * a[v] + (in * b[v] + k[v]));
      }
    }
  };
  for_column_blocks(channels, block, [&](int64_t c) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r * channels + c;
      const float in = load_one(x + at);
      float grad = load_one(g + at);
      if (mask && !(in * args.scale[c] + args.shift[c] > 0)) grad = 0;
      store_one(dx + at, grad * affine.a[c] + (in * affine.b[c] + affine.c[c]));
    }
  });
}

HARDMOE_VECTOR_KERNEL void differentiate_fp32(const NormBackward& args, const Affine& affine,
                                              int64_t begin, int64_t end) {
  differentiate_range<float>(args, affine, begin, end);
}
HARDMOE_VECTOR_KERNEL void differentiate_bf16(const NormBackward& args, const Affine& affine,
                                              int64_t begin, int64_t end) {
  differentiate_range<BFloat16>(args, affine, begin, end);
}

// ---- sums over threads
// ----------------------------------------------------------------------------

/// Runs body(begin, end, sums) on one row range a thread and leaves the total in workspace[0 … 2C).
template <class Body>
void reduce_rows(int64_t rows, int64_t channels, std::vector<double>& workspace, const Body& body) {
  const int64_t width = 2 * channels;
  const int64_t room = (std::ssize(workspace) - 3 * channels) / width;  // threads when it was made
  const int64_t parts =
      std::min<int64_t>({compute_threads(), room, std::max<int64_t>(rows / 64, 1)});
  std::fill(workspace.begin(), workspace.begin() + parts * width, 0.0);
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      body(rows * part / parts, rows * (part + 1) / parts, workspace.data() + part * width);
    }
  });
  for (int64_t part = 1; part < parts; ++part) {
    for (int64_t i = 0; i < width; ++i) workspace[i] += workspace[part * width + i];
  }
}

constexpr int64_t grain_elements = 1 << 14;  // not worth a second thread below this

}  // namespace

std::vector<double> norm_workspace(int64_t channels) {
  return std::vector<double>(static_cast<size_t>(compute_threads() * 2 * channels + 3 * channels));
}

void norm_statistics(Activations x, int64_t rows, int64_t channels, float* mean, float* variance,
                     std::vector<double>& workspace) {
  const bool bf16 = x.precision == Precision::bf16;
  reduce_rows(rows, channels, workspace, [&](int64_t begin, int64_t end, double* sums) {
    bf16 ? statistics_bf16(static_cast<const BFloat16*>(x.data), begin, end, channels, sums)
         : statistics_fp32(static_cast<const float*>(x.data), begin, end, channels, sums);
  });
  const double count = static_cast<double>(rows);
  for (int64_t c = 0; c < channels; ++c) {
    const double origin = bf16 ? to_float(static_cast<const BFloat16*>(x.data)[c])
                               : static_cast<const float*>(x.data)[c];
    const double shifted = workspace[c] / count;
    mean[c] = static_cast<float>(origin + shifted);
    variance[c] =
        static_cast<float>(std::max(0.0, workspace[channels + c] / count - shifted * shifted));
  }
}

void norm_apply(Activations x, Activations residual, const float* scale, const float* shift,
                bool relu, int64_t rows, int64_t channels, Activations y) {
  const ApplyArgs args{scale, shift, relu, channels};
  parallel_for(rows, grain_elements / channels + 1, [&](int64_t begin, int64_t end) {
    if (x.precision == Precision::bf16) {
      apply_bf16(static_cast<const BFloat16*>(x.data), static_cast<const BFloat16*>(residual.data),
                 args, begin, end, static_cast<BFloat16*>(y.data));
    } else {
      apply_fp32(static_cast<const float*>(x.data), static_cast<const float*>(residual.data), args,
                 begin, end, static_cast<float*>(y.data));
    }
  });
}

void norm_backward(const NormBackward& args, std::vector<double>& workspace) {
  const bool bf16 = args.x.precision == Precision::bf16;
  const int64_t channels = args.channels;
  reduce_rows(args.rows, channels, workspace, [&](int64_t begin, int64_t end, double* sums) {
    bf16 ? reduce_bf16(args, begin, end, sums) : reduce_fp32(args, begin, end, sums);
  });
  // The coefficients live behind the sums; a double's room holds more than a float.
  float* a = reinterpret_cast<float*>(workspace.data() + std::ssize(workspace) - 3 * channels);
  float* b = a + channels;
  float* c = b + channels;
  const double count = static_cast<double>(args.rows);
  for (int64_t i = 0; i < channels; ++i) {
    const double inverse = args.inverse_deviation[i];
    const double d_beta = workspace[i];
    const double d_gamma = workspace[channels + i] * inverse;
    const double slope = static_cast<double>(args.gamma[i]) * inverse;
    const double on_x = -slope * inverse * d_gamma / count;
    args.d_beta[i] = static_cast<float>(d_beta);
    args.d_gamma[i] = static_cast<float>(d_gamma);
    a[i] = static_cast<float>(slope);
    b[i] = static_cast<float>(on_x);
    c[i] = static_cast<float>(-slope * d_beta / count - on_x * static_cast<double>(args.mean[i]));
  }
  const Affine affine{a, b, c};
  parallel_for(args.rows, grain_elements / channels + 1, [&](int64_t begin, int64_t end) {
    bf16 ? differentiate_bf16(args, affine, begin, end)
         : differentiate_fp32(args, affine, begin, end);
  });
}

}  // namespace hardmoe::cpu
