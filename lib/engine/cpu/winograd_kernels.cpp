#include "engine/cpu/winograd_kernels.h"

#include <array>
#include <cstring>

#include "tensor/dtype.h"
#include "tensor/tile_product.h"

namespace hardmoe::cpu {
namespace {

// Written once for any width of vectors; always_inline puts the loops into functions compiled for one
// instruction set each (see tensor/tile_product.cpp).
#define HARDMOE_LOOP [[gnu::always_inline]] inline

template <int Lanes>
using Floats [[gnu::vector_size(Lanes * 4)]] = float;
template <int Lanes>
using Bits [[gnu::vector_size(Lanes * 4)]] = uint32_t;
template <int Lanes>
using Halves [[gnu::vector_size(Lanes * 2)]] = uint16_t;

template <int Lanes>
HARDMOE_LOOP void get(const float* p, Floats<Lanes>& v) {
  std::memcpy(&v, p, sizeof v);
}
template <int Lanes>
HARDMOE_LOOP void get(const BFloat16* p, Floats<Lanes>& v) {
  Halves<Lanes> half;
  std::memcpy(&half, p, sizeof half);
  v = reinterpret_cast<Floats<Lanes>>(__builtin_convertvector(half, Bits<Lanes>) << 16);
}
template <int Lanes>
HARDMOE_LOOP void put(float* p, const Floats<Lanes>& v) {
  std::memcpy(p, &v, sizeof v);
}
/// Rounds to nearest even.
template <int Lanes>
HARDMOE_LOOP void put(BFloat16* p, const Floats<Lanes>& v) {
  const auto bits = reinterpret_cast<Bits<Lanes>>(v);
  const Bits<Lanes> rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const Halves<Lanes> half = __builtin_convertvector(rounded, Halves<Lanes>);
  std::memcpy(p, &half, sizeof half);
}

/// A square of Side×Side places in an N×H×W×C map: where its first place's first channel is, perhaps
/// outside, and which rows and columns lie inside.
template <int Side>
struct Places {
  int64_t origin;
  std::array<bool, static_cast<size_t>(Side)> row, column;
  bool all;
};
/// Finds those whose corner is at `top`, `left` of an image.
template <int Side>
HARDMOE_LOOP void find_places(int64_t image, int64_t top, int64_t left, int64_t height,
                              int64_t width, int64_t channels, Places<Side>& places) {
  places.origin = ((image * height + top) * width + left) * channels;
  places.all = true;
  for (int64_t i = 0; i < Side; ++i) {
    const bool row = top + i >= 0 && top + i < height;
    const bool column = left + i >= 0 && left + i < width;
    places.row[static_cast<size_t>(i)] = row;
    places.column[static_cast<size_t>(i)] = column;
    places.all = places.all && row && column;
  }
}

template <class Filter>
HARDMOE_LOOP void find_patch(const Winograd& layer, int64_t tile, Places<Filter::side>& places) {
  const int64_t across = layer.tiles_across(), down = layer.tiles_down();
  constexpr int64_t step = Filter::tile * Filter::stride;
  find_places(tile / (across * down), tile / across % down * step - 1, tile % across * step - 1,
              layer.in_height, layer.in_width, layer.in_channels, places);
}
template <class Filter>
HARDMOE_LOOP void find_outputs(const Winograd& layer, int64_t tile, Places<Filter::tile>& places) {
  const int64_t across = layer.tiles_across(), down = layer.tiles_down();
  find_places(tile / (across * down), tile / across % down * Filter::tile,
              tile % across * Filter::tile, layer.height, layer.width, layer.out_channels, places);
}

/// Reads a square of one vector of channels a place, and calls for what the next one, `step` columns
/// on, has not in common with it.
template <int Lanes, int Side, class Element>
HARDMOE_LOOP void read_square(const Element* map, const Places<Side>& places, int64_t row_stride,
                              int64_t channels, int step, const Element* zeros,
                              Floats<Lanes>* square) {
  const Element* from = map + places.origin;
  for (int i = 0; i < Side; ++i) {
    for (int j = 0; j < Side; ++j) {
      const bool inside = places.all || (places.row[static_cast<size_t>(i)] &&
                                         places.column[static_cast<size_t>(j)]);
      const Element* at = from + i * row_stride + j * channels;
      get<Lanes>(inside ? at : zeros, square[i * Side + j]);
      if (j >= Side - step) __builtin_prefetch(at + step * channels);
    }
  }
}

template <int Lanes, class Filter, class Element>
HARDMOE_LOOP void patches(const TileJob& job, const Element* x, const Element* zeros, float* to) {
  constexpr int side = Filter::side, components = Filter::components;
  const int64_t channels = job.layer.in_channels, row = job.layer.in_width * channels;
  for (int64_t tile = job.tiles.begin; tile < job.tiles.end; ++tile, to += job.width) {
    Places<side> places;
    find_patch<Filter>(job.layer, tile, places);
    for (int64_t c = 0; c < job.width; c += Lanes) {
      Floats<Lanes> in[side * side], half[components * side], out[components];
      read_square<Lanes, side>(x + job.first + c, places, row, channels,
                               Filter::tile * Filter::stride, zeros, in);
      for (int j = 0; j < side; ++j) Filter::patch(in + j, side, half + j, side);
      for (int i = 0; i < components; ++i) {
        Filter::patch(half + i * side, 1, out, 1);
        for (int j = 0; j < components; ++j) {
          put<Lanes>(to + (i * components + j) * job.stride + c, out[j]);
        }
      }
    }
  }
}

template <int Lanes, class Filter, class Element>
HARDMOE_LOOP void gradients(const TileJob& job, const Element* dy, const Element* zeros,
                            float* to) {
  constexpr int side = Filter::tile, components = Filter::components;
  const int64_t channels = job.layer.out_channels, row = job.layer.width * channels;
  for (int64_t tile = job.tiles.begin; tile < job.tiles.end; ++tile, to += job.width) {
    Places<side> places;
    find_outputs<Filter>(job.layer, tile, places);
    for (int64_t c = 0; c < job.width; c += Lanes) {
      Floats<Lanes> in[side * side], half[components * side], out[components];
      read_square<Lanes, side>(dy + job.first + c, places, row, channels, side, zeros, in);
      for (int j = 0; j < side; ++j) Filter::output_adjoint(in + j, side, half + j, side);
      for (int i = 0; i < components; ++i) {
        Filter::output_adjoint(half + i * side, 1, out, 1);
        for (int j = 0; j < components; ++j) {
          put<Lanes>(to + (i * components + j) * job.stride + c, out[j]);
        }
      }
    }
  }
}

template <int Lanes, class Filter, class Element>
HARDMOE_LOOP void outputs(const TileJob& job, const float* sums, const Finish& finish, Element* y) {
  constexpr int side = Filter::tile, components = Filter::components;
  const int64_t channels = job.layer.out_channels, row = job.layer.width * channels;
  const auto* residual = static_cast<const Element*>(finish.residual);
  for (int64_t tile = job.tiles.begin; tile < job.tiles.end; ++tile, sums += job.width) {
    Places<side> places;
    find_outputs<Filter>(job.layer, tile, places);
    for (int64_t c = 0; c < job.width; c += Lanes) {
      Floats<Lanes> in[components * components], half[side * components], out[side];
      Floats<Lanes> bias = {}, add;
      for (int i = 0; i < components * components; ++i) {
        get<Lanes>(sums + i * job.stride + c, in[i]);
      }
      for (int j = 0; j < components; ++j) {
        Filter::output(in + j, components, half + j, components);
      }
      if (finish.bias != nullptr) get<Lanes>(finish.bias + job.first + c, bias);
      for (int i = 0; i < side; ++i) {
        if (!places.row[static_cast<size_t>(i)]) continue;
        Filter::output(half + i * components, 1, out, 1);
        for (int j = 0; j < side; ++j) {
          if (!places.column[static_cast<size_t>(j)]) continue;
          const int64_t at = places.origin + i * row + j * channels + job.first + c;
          Floats<Lanes> value = out[j] + bias;
          if (residual != nullptr) {
            get<Lanes>(residual + at, add);
            value += add;
            __builtin_prefetch(residual + at + side * channels);
          }
          if (finish.relu) value = value < 0.0F ? Floats<Lanes>{} : value;
          put<Lanes>(y + at, value);
          __builtin_prefetch(y + at + side * channels, 1);
        }
      }
    }
  }
}

template <int Lanes, class Filter>
HARDMOE_LOOP void weights(const float* taps, int64_t tap_stride, int64_t width, float* u,
                          int64_t stride) {
  constexpr int side = Filter::weights;
  for (int64_t c = 0; c < width; c += Lanes) {
    Floats<Lanes> in[9], half[side * 3], out[side];
    for (int i = 0; i < 9; ++i) get<Lanes>(taps + i * tap_stride + c, in[i]);
    for (int j = 0; j < 3; ++j) Filter::weight(in + j, 3, half + j, 3);
    for (int i = 0; i < side; ++i) {
      Filter::weight(half + 3 * i, 1, out, 1);
      for (int j = 0; j < side; ++j) put<Lanes>(u + (i * side + j) * stride + c, out[j]);
    }
  }
}

template <int Lanes, class Filter>
HARDMOE_LOOP void weight_gradients(const float* u, int64_t stride, int64_t parts,
                                   int64_t part_stride, int64_t width, float* taps,
                                   int64_t tap_stride) {
  constexpr int side = Filter::weights;
  for (int64_t c = 0; c < width; c += Lanes) {
    Floats<Lanes> in[side * side], half[3 * side], out[3], more;
    for (int i = 0; i < side * side; ++i) {
      get<Lanes>(u + i * stride + c, in[i]);
      for (int64_t p = 1; p < parts; ++p) {
        get<Lanes>(u + p * part_stride + i * stride + c, more);
        in[i] += more;
      }
    }
    for (int j = 0; j < side; ++j) Filter::weight_adjoint(in + j, side, half + j, side);
    for (int i = 0; i < 3; ++i) {
      Filter::weight_adjoint(half + i * side, 1, out, 1);
      for (int j = 0; j < 3; ++j) put<Lanes>(taps + (3 * i + j) * tap_stride + c, out[j]);
    }
  }
}

using Two = MinimalFilter<Minimal::two>;
using Four = MinimalFilter<Minimal::four>;
using FourStrided = MinimalFilter<Minimal::four_strided>;

/// Each of the loops above for a layer's filter and precision.
template <int Lanes, class Element>
struct Loops {
  HARDMOE_LOOP static void patches_of(const TileJob& job, const void* x, const float* zeros,
                                      float* to) {
    const auto* map = static_cast<const Element*>(x);
    const auto* none = reinterpret_cast<const Element*>(zeros);
    switch (job.layer.kind) {
      case Minimal::two:
        return patches<Lanes, Two>(job, map, none, to);
      case Minimal::four:
        return patches<Lanes, Four>(job, map, none, to);
      case Minimal::four_strided:
        return patches<Lanes, FourStrided>(job, map, none, to);
    }
  }
  HARDMOE_LOOP static void gradients_of(const TileJob& job, const void* dy, const float* zeros,
                                        float* to) {
    const auto* map = static_cast<const Element*>(dy);
    const auto* none = reinterpret_cast<const Element*>(zeros);
    job.layer.kind == Minimal::four ? gradients<Lanes, Four>(job, map, none, to)
                                    : gradients<Lanes, Two>(job, map, none, to);
  }
  HARDMOE_LOOP static void outputs_of(const TileJob& job, const float* sums, const Finish& finish,
                                      void* y) {
    auto* map = static_cast<Element*>(y);
    switch (job.layer.kind) {
      case Minimal::two:
        return outputs<Lanes, Two>(job, sums, finish, map);
      case Minimal::four:
        return outputs<Lanes, Four>(job, sums, finish, map);
      case Minimal::four_strided:
        return outputs<Lanes, FourStrided>(job, sums, finish, map);
    }
  }
};

template <int Lanes>
HARDMOE_LOOP void weights_of(Minimal kind, const float* taps, int64_t tap_stride, int64_t width,
                             float* u, int64_t stride) {
  switch (kind) {
    case Minimal::two:
      return weights<Lanes, Two>(taps, tap_stride, width, u, stride);
    case Minimal::four:
      return weights<Lanes, Four>(taps, tap_stride, width, u, stride);
    case Minimal::four_strided:
      return weights<Lanes, FourStrided>(taps, tap_stride, width, u, stride);
  }
}

#define HARDMOE_BY_PRECISION(lanes, call)     \
  if (job.layer.precision == Precision::bf16) \
    Loops<lanes, BFloat16>::call;             \
  else                                        \
    Loops<lanes, float>::call

/// Compiles the loops for one instruction set.
// NOLINTBEGIN(bugprone-macro-parentheses): an attribute in parentheses is none.
#define HARDMOE_LEVEL(level, attribute, lanes)                                                  \
  attribute void patches_##level(const TileJob& job, const void* x, const float* zeros,         \
                                 float* to) {                                                   \
    HARDMOE_BY_PRECISION(lanes, patches_of(job, x, zeros, to));                                 \
  }                                                                                             \
  attribute void gradients_##level(const TileJob& job, const void* dy, const float* zeros,      \
                                   float* to) {                                                 \
    HARDMOE_BY_PRECISION(lanes, gradients_of(job, dy, zeros, to));                              \
  }                                                                                             \
  attribute void outputs_##level(const TileJob& job, const float* sums, const Finish& finish,   \
                                 void* y) {                                                     \
    HARDMOE_BY_PRECISION(lanes, outputs_of(job, sums, finish, y));                              \
  }                                                                                             \
  attribute void weights_##level(Minimal kind, const float* taps, int64_t tap_stride,           \
                                 int64_t width, float* u, int64_t stride) {                     \
    weights_of<lanes>(kind, taps, tap_stride, width, u, stride);                                \
  }                                                                                             \
  attribute void weight_gradients_##level(Minimal kind, const float* u, int64_t stride,         \
                                          int64_t parts, int64_t part_stride, int64_t width,    \
                                          float* taps, int64_t tap_stride) {                    \
    kind == Minimal::four                                                                       \
        ? weight_gradients<lanes, Four>(u, stride, parts, part_stride, width, taps, tap_stride) \
        : weight_gradients<lanes, Two>(u, stride, parts, part_stride, width, taps, tap_stride); \
  }                                                                                             \
  constexpr WinogradKernels kernels_##level = {patches_##level, gradients_##level,              \
                                               outputs_##level, weights_##level,                \
                                               weight_gradients_##level};

// NOLINTEND(bugprone-macro-parentheses)

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
HARDMOE_LEVEL(v4, [[gnu::target("arch=x86-64-v4")]], 16)
HARDMOE_LEVEL(v3, [[gnu::target("arch=x86-64-v3")]], 8)
#define HARDMOE_HAS_X86_LEVELS 1
#endif
HARDMOE_LEVEL(any, , 4)

}  // namespace

const WinogradKernels& winograd_kernels([[maybe_unused]] int64_t lanes) {
#ifdef HARDMOE_HAS_X86_LEVELS
  if (lanes == 16) return kernels_v4;
  if (lanes == 8) return kernels_v3;
#endif
  return kernels_any;
}

const WinogradKernels& winograd_kernels() {
  static const WinogradKernels& widest = winograd_kernels(tile_levels().front().lanes);
  return widest;
}

}  // namespace hardmoe::cpu
