// The one-dimensional transforms of minimal filters F(m,3) (Lavin & Gray 2016, eq. 9–11), of stride 1
// and 2: each is applied to the columns of a small square of vectors, then to its rows. Those of four
// outputs interpolate at ±√½, ±√2 and ∞ (and 0), whose powers are of like size, so that they round less
// than with the paper's 0, ±1, ±2 and ∞. V: a vector of GCC's extensions. Values lie `from` apart in
// what is read, `step` apart in `out`.
#pragma once

#include <cstdint>

namespace hardmoe::cpu {

/// Which filter: outputs of a tile (each way), and stride.
enum class Minimal {
  two,           ///< F(2,3)
  four,          ///< F(4,3)
  four_strided,  ///< four outputs of stride 2
};

#define HARDMOE_TRANSFORM [[gnu::always_inline]] static inline

/// Each has: tile, the outputs; side, the inputs they come from; components, the products a tile takes;
/// weights, the different transformed weights.
template <Minimal Kind>
struct MinimalFilter;

template <>
struct MinimalFilter<Minimal::two> {
  static constexpr int tile = 2, stride = 1, side = 4, components = 4, weights = 4;

  /// Bᵀd: 4 → 4
  template <class V>
  HARDMOE_TRANSFORM void patch(const V* d, int from, V* out, int step) {
    const V a = d[0], b = d[from], c = d[2 * from], e = d[3 * from];
    out[0] = a - c;
    out[step] = b + c;
    out[2 * step] = c - b;
    out[3 * step] = b - e;
  }
  /// Gg: 3 → 4
  template <class V>
  HARDMOE_TRANSFORM void weight(const V* g, int from, V* out, int step) {
    const V outer = 0.5F * (g[0] + g[2 * from]), inner = 0.5F * g[from];
    out[0] = g[0];
    out[step] = outer + inner;
    out[2 * step] = outer - inner;
    out[3 * step] = g[2 * from];
  }
  /// Gᵀu: 4 → 3
  template <class V>
  HARDMOE_TRANSFORM void weight_adjoint(const V* u, int from, V* out, int step) {
    const V sum = 0.5F * (u[from] + u[2 * from]);
    out[0] = u[0] + sum;
    out[step] = 0.5F * (u[from] - u[2 * from]);
    out[2 * step] = sum + u[3 * from];
  }
  /// Aᵀm: 4 → 2
  template <class V>
  HARDMOE_TRANSFORM void output(const V* m, int from, V* out, int step) {
    out[0] = m[0] + m[from] + m[2 * from];
    out[step] = m[from] - m[2 * from] - m[3 * from];
  }
  /// Ay: 2 → 4
  template <class V>
  HARDMOE_TRANSFORM void output_adjoint(const V* y, int from, V* out, int step) {
    out[0] = y[0];
    out[step] = y[0] + y[from];
    out[2 * step] = y[0] - y[from];
    out[3 * step] = V{} - y[from];
  }
};

inline constexpr float root_half = 0.70710678118654752F;
inline constexpr float root_two = 1.41421356237309505F;

template <>
struct MinimalFilter<Minimal::four> {
  static constexpr int tile = 4, stride = 1, side = 6, components = 6, weights = 6;
  static constexpr float a = root_half, b = root_two;

  /// Bᵀd: 6 → 6
  template <class V>
  HARDMOE_TRANSFORM void patch(const V* d, int from, V* out, int step) {
    const V d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from];
    const V u = d4 - 2.0F * d2, w = a * d3 - b * d1;
    const V s = d4 - 0.5F * d2, t = b * d3 - a * d1;
    out[0] = d[0] - 2.5F * d2 + d4;
    out[step] = u + w;
    out[2 * step] = u - w;
    out[3 * step] = s + t;
    out[4 * step] = s - t;
    out[5 * step] = d1 - 2.5F * d3 + d[5 * from];
  }
  /// Gg: 3 → 6
  template <class V>
  HARDMOE_TRANSFORM void weight(const V* g, int from, V* out, int step) {
    const V g0 = g[0], g1 = g[from], g2 = g[2 * from];
    const V u = (-2.0F / 3) * g0 - (1.0F / 3) * g2, w = (-2.0F / 3 * a) * g1;
    const V s = (1.0F / 6) * g0 + (1.0F / 3) * g2, t = (1.0F / 6 * b) * g1;
    out[0] = g0;
    out[step] = u + w;
    out[2 * step] = u - w;
    out[3 * step] = s + t;
    out[4 * step] = s - t;
    out[5 * step] = g2;
  }
  /// Gᵀu: 6 → 3
  template <class V>
  HARDMOE_TRANSFORM void weight_adjoint(const V* u, int from, V* out, int step) {
    const V p = u[from] + u[2 * from], q = u[from] - u[2 * from];
    const V r = u[3 * from] + u[4 * from], s = u[3 * from] - u[4 * from];
    out[0] = u[0] - (2.0F / 3) * p + (1.0F / 6) * r;
    out[step] = (1.0F / 6 * b) * s - (2.0F / 3 * a) * q;
    out[2 * step] = (1.0F / 3) * (r - p) + u[5 * from];
  }
  /// Aᵀm: 6 → 4
  template <class V>
  HARDMOE_TRANSFORM void output(const V* m, int from, V* out, int step) {
    const V p = m[from] + m[2 * from], q = a * (m[from] - m[2 * from]);
    const V r = m[3 * from] + m[4 * from], s = b * (m[3 * from] - m[4 * from]);
    out[0] = m[0] + p + r;
    out[step] = q + s;
    out[2 * step] = 0.5F * p + 2.0F * r;
    out[3 * step] = 0.5F * q + 2.0F * s + m[5 * from];
  }
  /// Ay: 4 → 6
  template <class V>
  HARDMOE_TRANSFORM void output_adjoint(const V* y, int from, V* out, int step) {
    const V y0 = y[0], y1 = y[from], y2 = y[2 * from], y3 = y[3 * from];
    const V even = y0 + 0.5F * y2, odd = a * (y1 + 0.5F * y3);
    const V even2 = y0 + 2.0F * y2, odd2 = b * (y1 + 2.0F * y3);
    out[0] = y0;
    out[step] = even + odd;
    out[2 * step] = even - odd;
    out[3 * step] = even2 + odd2;
    out[4 * step] = even2 - odd2;
    out[5 * step] = y3;
  }
};

/// Inputs of even place meet the outer weights alone, F(4,2) in five products; those of odd place the
/// middle weight alone, four products: nine instead of twelve.
template <>
struct MinimalFilter<Minimal::four_strided> {
  static constexpr int tile = 4, stride = 2, side = 9, components = 9, weights = 6;
  static constexpr float a = root_half, b = root_two;

  /// 9 → 9
  template <class V>
  HARDMOE_TRANSFORM void patch(const V* d, int from, V* out, int step) {
    const V e0 = d[0], e1 = d[2 * from], e2 = d[4 * from], e3 = d[6 * from];
    const V u = e3 - 2.0F * e1, w = a * e2 - b * e0;
    const V s = e3 - 0.5F * e1, t = b * e2 - a * e0;
    out[0] = u + w;
    out[step] = u - w;
    out[2 * step] = s + t;
    out[3 * step] = s - t;
    out[4 * step] = e0 - 2.5F * e2 + d[8 * from];
    for (int i = 0; i < 4; ++i) out[(5 + i) * step] = d[(2 * i + 1) * from];
  }
  /// 3 → 6; the last serves all inputs of odd place.
  template <class V>
  HARDMOE_TRANSFORM void weight(const V* g, int from, V* out, int step) {
    const V g0 = g[0], g2 = (1.0F / 3) * g[2 * from];
    const V near = (1.0F / 3 * b) * g0, far = (1.0F / 3 * a) * g0;
    out[0] = V{} - near - g2;
    out[step] = near - g2;
    out[2 * step] = far + g2;
    out[3 * step] = g2 - far;
    out[4 * step] = g[2 * from];
    out[5 * step] = g[from];
  }
  /// 9 → 4
  template <class V>
  HARDMOE_TRANSFORM void output(const V* m, int from, V* out, int step) {
    const V p = m[0] + m[from], q = a * (m[0] - m[from]);
    const V r = m[2 * from] + m[3 * from], s = b * (m[2 * from] - m[3 * from]);
    out[0] = p + r + m[5 * from];
    out[step] = q + s + m[6 * from];
    out[2 * step] = 0.5F * p + 2.0F * r + m[7 * from];
    out[3 * step] = 0.5F * q + 2.0F * s + m[4 * from] + m[8 * from];
  }
};

#undef HARDMOE_TRANSFORM

}  // namespace hardmoe::cpu
