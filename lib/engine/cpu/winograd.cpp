#include "engine/cpu/winograd.h"

#include <algorithm>
#include <array>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/vector.h"
#include "tensor/tile_product.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t components = 16;  // of a transformed 4×4 patch
constexpr int64_t panel = 64;       // output channels of one product: its weights fit in L2
/// Tiles transformed at a time: enough rows to pay for reading the weights, few enough that what
/// they make stays in L2. A multiple of the product's 6 rows.
constexpr int64_t block = 96;

int64_t panels(int64_t channels) { return (channels + panel - 1) / panel; }
int64_t panel_width(int64_t channels, int64_t p) { return std::min(panel, channels - p * panel); }

/// Floats from one component to the next: not a multiple of a page, or all sixteen would fall into
/// the same sets of the cache.
int64_t component_stride(int64_t rows, int64_t channels) { return rows * channels + lanes; }

/// How a layer's work is cut: by tiles and by panels of output channels. Each part is one thread's.
struct Parts {
  int64_t by_tiles, by_panels;
  int64_t count() const { return by_tiles * by_panels; }
};

struct Range {
  int64_t begin, end;
};
Range share(int64_t n, int64_t part, int64_t parts) {
  return {n * part / parts, n * (part + 1) / parts};
}

/// A range of tiles in equal blocks.
int64_t block_length(Range tiles) {
  const int64_t n = std::max<int64_t>(tiles.end - tiles.begin, 1);
  const int64_t blocks = (n + block - 1) / block;
  return std::min(block, ((n + blocks - 1) / blocks + 5) / 6 * 6);
}

/// Tiles first: every part by panels transforms the patches again.
Parts convolution_parts(const Winograd& layer) {
  const int64_t threads = layer.threads;
  const int64_t by_tiles = std::clamp<int64_t>(layer.tiles() / 24, 1, threads);
  return {by_tiles, std::clamp<int64_t>(threads / by_tiles, 1, panels(layer.out_channels))};
}

/// Panels first: every part by tiles has sums of its own for all weights.
Parts gradient_parts(const Winograd& layer) {
  const int64_t threads = layer.threads;
  const int64_t by_panels = std::min(threads, panels(layer.out_channels));
  return {std::clamp<int64_t>(threads / by_panels, 1, (layer.tiles() + block - 1) / block),
          by_panels};
}

int64_t convolution_part_floats(const Winograd& layer) {
  return components * (component_stride(block, layer.in_channels) + component_stride(block, panel));
}

// The one-dimensional transforms of four (or three, or two) values; each is applied to columns,
// then to rows. Lavin & Gray 2016, eq. 9–11.

/// Bᵀd
HARDMOE_INLINE void patch_transform(Vec a, Vec b, Vec c, Vec d, Vec* out, int step) {
  out[0] = a - c;
  out[step] = b + c;
  out[2 * step] = c - b;
  out[3 * step] = b - d;
}
/// Gg
HARDMOE_INLINE void weight_transform(Vec a, Vec b, Vec c, Vec* out, int step) {
  const Vec outer = 0.5F * (a + c);
  const Vec inner = 0.5F * b;
  out[0] = a;
  out[step] = outer + inner;
  out[2 * step] = outer - inner;
  out[3 * step] = c;
}
/// Gᵀu
HARDMOE_INLINE void weight_adjoint(Vec a, Vec b, Vec c, Vec d, Vec* out, int step) {
  const Vec sum = 0.5F * (b + c);
  out[0] = a + sum;
  out[step] = 0.5F * (b - c);
  out[2 * step] = sum + d;
}
/// Aᵀm
HARDMOE_INLINE void output_transform(Vec a, Vec b, Vec c, Vec d, Vec* out, int step) {
  out[0] = a + b + c;
  out[step] = b - c - d;
}
/// Ay
HARDMOE_INLINE void output_adjoint(Vec a, Vec b, Vec* out, int step) {
  out[0] = a;
  out[step] = a + b;
  out[2 * step] = a - b;
  out[3 * step] = Vec{} - b;
}

/// Where the places of a tile's patch (or of its output) are in an N×H×W×C map; `outside` stands
/// for those beyond its edge.
template <int Side, class Float>
HARDMOE_INLINE void places_of_tile(const Winograd& layer, int64_t tile, int64_t channels,
                                   Float* map, Float* outside,
                                   std::array<Float*, Side * Side>& places) {
  constexpr int64_t margin = Side == 4 ? 1 : 0;
  const int64_t across = layer.tiles_across();
  const int64_t left = tile % across * 2 - margin;
  const int64_t top = tile / across % layer.tiles_down() * 2 - margin;
  const int64_t image = tile / (across * layer.tiles_down());
  for (int64_t i = 0; i < Side; ++i) {
    for (int64_t j = 0; j < Side; ++j) {
      const int64_t y = top + i;
      const int64_t x = left + j;
      const bool inside = y >= 0 && y < layer.height && x >= 0 && x < layer.width;
      places[static_cast<size_t>(i * Side + j)] =
          inside ? map + ((image * layer.height + y) * layer.width + x) * channels : outside;
    }
  }
}

/// v[component][tile][channel] of the 4×4 patches of some tiles. zeros: `channels` of them.
HARDMOE_VECTOR_KERNEL
void transform_patches(const Winograd& layer, const float* x, const float* zeros, Range tiles,
                       float* v, int64_t stride) {
  const int64_t channels = layer.in_channels;
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile, v += channels) {
    std::array<const float*, 16> at;
    places_of_tile<4>(layer, tile, channels, x, zeros, at);
    for (int64_t c = 0; c < channels; c += lanes) {
      Vec half[16], out[16];
      for (size_t j = 0; j < 4; ++j) {
        patch_transform(load(at[j] + c), load(at[4 + j] + c), load(at[8 + j] + c),
                        load(at[12 + j] + c), half + j, 4);
      }
      for (int i = 0; i < 16; i += 4) {
        patch_transform(half[i], half[i + 1], half[i + 2], half[i + 3], out + i, 1);
      }
      for (int i = 0; i < 16; ++i) store(v + i * stride + c, out[i]);
    }
  }
}

/// d[component][tile][width] = A dy Aᵀ for `width` channels of dy's O from `first` on.
HARDMOE_VECTOR_KERNEL
void transform_gradients(const Winograd& layer, const float* dy, const float* zeros, Range tiles,
                         int64_t first, int64_t width, float* d, int64_t stride) {
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile, d += width) {
    std::array<const float*, 4> at;
    places_of_tile<2>(layer, tile, layer.out_channels, dy, zeros, at);
    for (int64_t c = 0; c < width; c += lanes) {
      Vec half[8], out[16];
      for (size_t j = 0; j < 2; ++j) {
        output_adjoint(load(at[j] + first + c), load(at[2 + j] + first + c), half + j, 2);
      }
      for (int i = 0; i < 4; ++i) output_adjoint(half[2 * i], half[2 * i + 1], out + 4 * i, 1);
      for (int i = 0; i < 16; ++i) store(d + i * stride + c, out[i]);
    }
  }
}

/// y's `width` channels from `first` on, of some tiles, from m[component][tile][width]. spare: room
/// for O values that lie outside the map.
HARDMOE_VECTOR_KERNEL
void write_outputs(const Winograd& layer, const float* m, int64_t stride, Range tiles,
                   int64_t first, int64_t width, float* y, float* spare) {
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile, m += width) {
    std::array<float*, 4> at;
    places_of_tile<2>(layer, tile, layer.out_channels, y, spare, at);
    for (int64_t c = 0; c < width; c += lanes) {
      Vec half[8], out[4];
      for (int j = 0; j < 4; ++j) {
        output_transform(load(m + j * stride + c), load(m + (4 + j) * stride + c),
                         load(m + (8 + j) * stride + c), load(m + (12 + j) * stride + c), half + j,
                         4);
      }
      for (int i = 0; i < 2; ++i) {
        output_transform(half[4 * i], half[4 * i + 1], half[4 * i + 2], half[4 * i + 3],
                         out + 2 * i, 1);
      }
      for (size_t i = 0; i < 4; ++i) store(at[i] + first + c, out[i]);
    }
  }
}

/// u[component][row][·] of one row of weights: taps[9] lie `tap_stride` apart, `width` values each;
/// components `stride` apart.
HARDMOE_VECTOR_KERNEL
void transform_weight_row(const float* taps, int64_t tap_stride, int64_t width, float* u,
                          int64_t stride) {
  for (int64_t c = 0; c < width; c += lanes) {
    Vec half[12], out[16];
    const auto tap = [&](int t) { return load(taps + t * tap_stride + c); };
    for (int j = 0; j < 3; ++j) weight_transform(tap(j), tap(3 + j), tap(6 + j), half + j, 3);
    for (int i = 0; i < 4; ++i) {
      weight_transform(half[3 * i], half[3 * i + 1], half[3 * i + 2], out + 4 * i, 1);
    }
    for (int i = 0; i < 16; ++i) store(u + i * stride + c, out[i]);
  }
}

/// The nine taps of one row of weights' gradient from the sums of `parts` gradients of u.
HARDMOE_VECTOR_KERNEL
void gradient_of_weight_row(const float* u, int64_t stride, int64_t parts, int64_t part_stride,
                            int64_t width, float* taps, int64_t tap_stride) {
  for (int64_t c = 0; c < width; c += lanes) {
    Vec in[16], half[12], out[9];
    for (int i = 0; i < 16; ++i) {
      in[i] = load(u + i * stride + c);
      for (int64_t p = 1; p < parts; ++p) in[i] += load(u + p * part_stride + i * stride + c);
    }
    for (int j = 0; j < 4; ++j) {
      weight_adjoint(in[j], in[4 + j], in[8 + j], in[12 + j], half + j, 4);
    }
    for (int i = 0; i < 3; ++i) {
      weight_adjoint(half[4 * i], half[4 * i + 1], half[4 * i + 2], half[4 * i + 3], out + 3 * i,
                     1);
    }
    for (int i = 0; i < 9; ++i) store(taps + i * tap_stride + c, out[i]);
  }
}

alignas(64) constexpr std::array<float, panel> no_start = {};

}  // namespace

void transform_weights(const Winograd& layer, const float* weights, float* u) {
  const int64_t in = layer.in_channels;
  const int64_t out = layer.out_channels;
  parallel_for(in, 8, [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < panels(out); ++p) {
      const int64_t width = panel_width(out, p);
      float* target = u + p * panel * components * in;
      for (int64_t i = begin; i < end; ++i) {
        transform_weight_row(weights + i * out + p * panel, in * out, width, target + i * width,
                             in * width);
      }
    }
  });
}

void transform_weights_transposed(const Winograd& layer, const float* weights, float* u) {
  const int64_t in = layer.in_channels;
  const int64_t out = layer.out_channels;
  parallel_for(out / lanes, 1, [&](int64_t begin, int64_t end) {
    // Sixteen rows of the transposed, turned weights at a time: taps × outputs × a panel of inputs.
    alignas(64) std::array<float, 9 * lanes * panel> turned;
    for (int64_t o = begin * lanes; o < end * lanes; o += lanes) {
      for (int64_t p = 0; p < panels(in); ++p) {
        const int64_t width = panel_width(in, p);
        for (int64_t tap = 0; tap < 9; ++tap) {
          const float* from = weights + ((8 - tap) * in + p * panel) * out + o;
          float* to = turned.data() + tap * lanes * panel;
          for (int64_t i = 0; i < width; ++i) {
            for (int64_t k = 0; k < lanes; ++k) to[k * panel + i] = from[i * out + k];
          }
        }
        float* target = u + p * panel * components * out;
        for (int64_t k = 0; k < lanes; ++k) {
          transform_weight_row(turned.data() + k * panel, lanes * panel, width,
                               target + (o + k) * width, out * width);
        }
      }
    }
  });
}

int64_t convolution_workspace(const Winograd& layer) {
  const int64_t edge = std::max(layer.in_channels, layer.out_channels);
  return edge + convolution_parts(layer).count() * (convolution_part_floats(layer) + edge);
}

void winograd_convolution(const Winograd& layer, const float* x, const float* u, float* y,
                          float* workspace) {
  const Parts parts = convolution_parts(layer);
  const int64_t in = layer.in_channels;
  const int64_t out = layer.out_channels;
  const int64_t edge = std::max(in, out);
  float* zeros = workspace;
  std::fill_n(zeros, edge, 0.0F);
  parallel_for(parts.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* spare = workspace + edge + part * (convolution_part_floats(layer) + edge);
      float* v = spare + edge;
      float* m = v + components * component_stride(block, in);
      const Range tiles = share(layer.tiles(), part / parts.by_panels, parts.by_tiles);
      const Range own = share(panels(out), part % parts.by_panels, parts.by_panels);
      const int64_t length = block_length(tiles);
      for (int64_t first = tiles.begin; first < tiles.end; first += length) {
        const Range now = {first, std::min(first + length, tiles.end)};
        const int64_t rows = now.end - now.begin;
        const int64_t v_stride = component_stride(rows, in);
        transform_patches(layer, x, zeros, now, v, v_stride);
        for (int64_t p = own.begin; p < own.end; ++p) {
          const int64_t width = panel_width(out, p);
          const int64_t m_stride = component_stride(rows, width);
          const float* weights = u + p * panel * components * in;
          for (int64_t i = 0; i < components; ++i) {
            multiply({.a = v + i * v_stride,
                      .row_stride = in,
                      .depth_stride = 1,
                      .b = weights + i * in * width,
                      .b_stride = width,
                      .start = no_start.data(),
                      .start_stride = 0,
                      .out = m + i * m_stride,
                      .out_stride = width,
                      .rows = rows,
                      .columns = width,
                      .depth = in});
          }
          write_outputs(layer, m, m_stride, now, p * panel, width, y, spare);
        }
      }
    }
  });
}

int64_t weight_gradient_workspace(const Winograd& layer) {
  const Parts parts = gradient_parts(layer);
  const int64_t edge = std::max(layer.in_channels, layer.out_channels);
  return edge + parts.count() * convolution_part_floats(layer) +
         parts.by_tiles * layer.weight_floats();
}

void winograd_weight_gradient(const Winograd& layer, const float* x, const float* dy, float* dw,
                              float* workspace) {
  const Parts parts = gradient_parts(layer);
  const int64_t in = layer.in_channels;
  const int64_t out = layer.out_channels;
  const int64_t edge = std::max(in, out);
  float* zeros = workspace;
  float* sums = zeros + edge;
  float* rooms = sums + parts.by_tiles * layer.weight_floats();
  std::fill_n(zeros, edge, 0.0F);
  parallel_for(parts.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* v = rooms + part * convolution_part_floats(layer);
      float* d = v + components * component_stride(block, in);
      const int64_t tile_part = part / parts.by_panels;
      const Range tiles = share(layer.tiles(), tile_part, parts.by_tiles);
      const Range own = share(panels(out), part % parts.by_panels, parts.by_panels);
      const int64_t length = block_length(tiles);
      for (int64_t first = tiles.begin; first < tiles.end; first += length) {
        const Range now = {first, std::min(first + length, tiles.end)};
        const int64_t rows = now.end - now.begin;
        const int64_t v_stride = component_stride(rows, in);
        transform_patches(layer, x, zeros, now, v, v_stride);
        for (int64_t p = own.begin; p < own.end; ++p) {
          const int64_t width = panel_width(out, p);
          const int64_t d_stride = component_stride(rows, width);
          transform_gradients(layer, dy, zeros, now, p * panel, width, d, d_stride);
          float* target = sums + tile_part * layer.weight_floats() + p * panel * components * in;
          for (int64_t i = 0; i < components; ++i) {
            float* sum = target + i * in * width;
            const bool fresh = first == tiles.begin;
            multiply({.a = v + i * v_stride,
                      .row_stride = 1,
                      .depth_stride = in,
                      .b = d + i * d_stride,
                      .b_stride = width,
                      .start = fresh ? no_start.data() : sum,
                      .start_stride = fresh ? 0 : width,
                      .out = sum,
                      .out_stride = width,
                      .rows = in,
                      .columns = width,
                      .depth = rows});
          }
        }
      }
    }
  });
  parallel_for(in, 8, [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < panels(out); ++p) {
      const int64_t width = panel_width(out, p);
      const float* from = sums + p * panel * components * in;
      for (int64_t i = begin; i < end; ++i) {
        gradient_of_weight_row(from + i * width, in * width, parts.by_tiles, layer.weight_floats(),
                               width, dw + i * out + p * panel, in * out);
      }
    }
  });
}

}  // namespace hardmoe::cpu
