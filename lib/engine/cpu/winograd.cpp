#include "engine/cpu/winograd.h"

#include <algorithm>
#include <array>

#include "engine/cpu/winograd_kernels.h"
#include "tensor/tile_product.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t group = 16;       // channels are a multiple of it
constexpr int64_t panel = 64;       // output channels of one product: its weights fit in L2
constexpr int64_t rows_a_tile = 6;  // of the product

int64_t panels(int64_t channels) { return (channels + panel - 1) / panel; }
int64_t panel_width(int64_t channels, int64_t p) { return std::min(panel, channels - p * panel); }

/// Floats from one component to the next: not a multiple of a page, or all of them would fall into
/// the same sets of the cache.
int64_t component_stride(int64_t rows, int64_t channels) { return rows * channels + group; }

/// Most tiles transformed at a time: enough rows to pay for reading the weights, few enough that what
/// they make stays in the caches. A multiple of the product's rows.
int64_t most_tiles(const Winograd& layer) {
  switch (layer.kind) {
    case Minimal::two:
      return 96;
    case Minimal::four:
      return 72;
    default:
      return 48;
  }
}

/// Which of the transformed weights a component is multiplied with: those beyond the last share it.
int64_t weight_of(const Winograd& layer, int64_t component) {
  const auto [tile, stride, side, components, weights] = sizes_of(layer.kind);
  return std::min(component / components, weights - 1) * weights +
         std::min(component % components, weights - 1);
}

template <Minimal Kind>
constexpr MinimalSizes sizes() {
  using Filter = MinimalFilter<Kind>;
  return {Filter::tile, Filter::stride, Filter::side, Filter::components, Filter::weights};
}

/// How a layer's work is cut: by tiles and by panels of output channels. Each part is one thread's.
struct Parts {
  int64_t by_tiles, by_panels;
  int64_t count() const { return by_tiles * by_panels; }
};

Range share(int64_t n, int64_t part, int64_t parts) {
  return {n * part / parts, n * (part + 1) / parts};
}

/// A range of tiles in equal blocks.
int64_t block_length(const Winograd& layer, Range tiles) {
  const int64_t n = std::max<int64_t>(tiles.end - tiles.begin, 1), block = most_tiles(layer);
  const int64_t blocks = (n + block - 1) / block;
  return std::min(block, ((n + blocks - 1) / blocks + rows_a_tile - 1) / rows_a_tile * rows_a_tile);
}

/// Tiles first: every part by panels transforms the patches again.
Parts convolution_parts(const Winograd& layer) {
  const int64_t threads = layer.threads;
  const int64_t by_tiles = std::clamp<int64_t>(layer.tiles() / 24, 1, threads);
  return {by_tiles, std::clamp<int64_t>(threads / by_tiles, 1, panels(layer.out_channels))};
}

/// Every part by tiles has sums of its own for all weights, every part by panels transforms all patches
/// again: tiles first where the sums stay in the caches.
Parts gradient_parts(const Winograd& layer) {
  constexpr int64_t few_floats = 1 << 20;
  const int64_t threads = layer.threads;
  const int64_t blocks = (layer.tiles() + most_tiles(layer) - 1) / most_tiles(layer);
  if (layer.weight_floats() <= few_floats) {
    const int64_t by_tiles = std::clamp<int64_t>(blocks, 1, threads);
    return {by_tiles, std::clamp<int64_t>(threads / by_tiles, 1, panels(layer.out_channels))};
  }
  const int64_t by_panels = std::min(threads, panels(layer.out_channels));
  return {std::clamp<int64_t>(threads / by_panels, 1, blocks), by_panels};
}

int64_t convolution_part_floats(const Winograd& layer) {
  const int64_t block = most_tiles(layer);
  return layer.components() *
         (component_stride(block, layer.in_channels) + component_stride(block, panel));
}

alignas(64) constexpr std::array<float, panel> no_start = {};

}  // namespace

MinimalSizes sizes_of(Minimal kind) {
  switch (kind) {
    case Minimal::two:
      return sizes<Minimal::two>();
    case Minimal::four:
      return sizes<Minimal::four>();
    default:
      return sizes<Minimal::four_strided>();
  }
}

void transform_weights(const Winograd& layer, const float* weights, float* u) {
  const int64_t in = layer.in_channels, out = layer.out_channels;
  const auto& kernels = winograd_kernels();
  parallel_for(in, 8, [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < panels(out); ++p) {
      const int64_t width = panel_width(out, p);
      float* target = u + p * panel * layer.weights() * in;
      for (int64_t i = begin; i < end; ++i) {
        kernels.transform_weights(layer.kind, weights + i * out + p * panel, in * out, width,
                                  target + i * width, in * width);
      }
    }
  });
}

void transform_weights_transposed(const Winograd& layer, const float* weights, float* u) {
  const int64_t in = layer.in_channels, out = layer.out_channels;
  const auto& kernels = winograd_kernels();
  parallel_for(out / group, 1, [&](int64_t begin, int64_t end) {
    // Sixteen rows of the transposed, turned weights at a time: taps × outputs × a panel of inputs.
    alignas(64) std::array<float, 9 * group * panel> turned;
    for (int64_t o = begin * group; o < end * group; o += group) {
      for (int64_t p = 0; p < panels(in); ++p) {
        const int64_t width = panel_width(in, p);
        for (int64_t tap = 0; tap < 9; ++tap) {
          const float* from = weights + ((8 - tap) * in + p * panel) * out + o;
          float* to = turned.data() + tap * group * panel;
          for (int64_t i = 0; i < width; ++i) {
            for (int64_t k = 0; k < group; ++k) to[k * panel + i] = from[i * out + k];
          }
        }
        float* target = u + p * panel * layer.weights() * out;
        for (int64_t k = 0; k < group; ++k) {
          kernels.transform_weights(layer.kind, turned.data() + k * panel, group * panel, width,
                                    target + (o + k) * width, out * width);
        }
      }
    }
  });
}

int64_t convolution_workspace(const Winograd& layer) {
  return std::max(layer.in_channels, layer.out_channels) +
         convolution_parts(layer).count() * convolution_part_floats(layer);
}

void winograd_convolution(const Winograd& layer, const void* x, const float* u,
                          const Finish& finish, void* y, float* workspace) {
  const Parts parts = convolution_parts(layer);
  const int64_t in = layer.in_channels, out = layer.out_channels;
  const auto& kernels = winograd_kernels();
  float* zeros = workspace;
  float* rooms = zeros + std::max(in, out);
  std::fill(zeros, rooms, 0.0F);
  parallel_for(parts.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* v = rooms + part * convolution_part_floats(layer);
      float* m = v + layer.components() * component_stride(most_tiles(layer), in);
      const Range tiles = share(layer.tiles(), part / parts.by_panels, parts.by_tiles);
      const Range own = share(panels(out), part % parts.by_panels, parts.by_panels);
      const int64_t length = block_length(layer, tiles);
      for (int64_t first = tiles.begin; first < tiles.end; first += length) {
        const Range now = {first, std::min(first + length, tiles.end)};
        const int64_t rows = now.end - now.begin;
        const int64_t v_stride = component_stride(rows, in);
        kernels.transform_patches({layer, now, 0, in, v_stride}, x, zeros, v);
        for (int64_t p = own.begin; p < own.end; ++p) {
          const int64_t width = panel_width(out, p);
          const int64_t m_stride = component_stride(rows, width);
          const float* weights = u + p * panel * layer.weights() * in;
          for (int64_t i = 0; i < layer.components(); ++i) {
            multiply({.a = v + i * v_stride,
                      .row_stride = in,
                      .depth_stride = 1,
                      .b = weights + weight_of(layer, i) * in * width,
                      .b_stride = width,
                      .start = no_start.data(),
                      .start_stride = 0,
                      .out = m + i * m_stride,
                      .out_stride = width,
                      .rows = rows,
                      .columns = width,
                      .depth = in});
          }
          kernels.write_outputs({layer, now, p * panel, width, m_stride}, m, finish, y);
        }
      }
    }
  });
}

int64_t weight_gradient_workspace(const Winograd& layer) {
  const Parts parts = gradient_parts(layer);
  return std::max(layer.in_channels, layer.out_channels) +
         parts.count() * convolution_part_floats(layer) + parts.by_tiles * layer.weight_floats();
}

void winograd_weight_gradient(const Winograd& layer, const void* x, const void* dy, float* dw,
                              float* workspace) {
  const Parts parts = gradient_parts(layer);
  const int64_t in = layer.in_channels, out = layer.out_channels;
  const auto& kernels = winograd_kernels();
  float* zeros = workspace;
  float* sums = zeros + std::max(in, out);
  float* rooms = sums + parts.by_tiles * layer.weight_floats();
  std::fill(zeros, sums, 0.0F);
  parallel_for(parts.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* v = rooms + part * convolution_part_floats(layer);
      float* d = v + layer.components() * component_stride(most_tiles(layer), in);
      const int64_t tile_part = part / parts.by_panels;
      const Range tiles = share(layer.tiles(), tile_part, parts.by_tiles);
      const Range own = share(panels(out), part % parts.by_panels, parts.by_panels);
      const int64_t length = block_length(layer, tiles);
      for (int64_t first = tiles.begin; first < tiles.end; first += length) {
        const Range now = {first, std::min(first + length, tiles.end)};
        const int64_t rows = now.end - now.begin;
        const int64_t v_stride = component_stride(rows, in);
        kernels.transform_patches({layer, now, 0, in, v_stride}, x, zeros, v);
        for (int64_t p = own.begin; p < own.end; ++p) {
          const int64_t width = panel_width(out, p);
          const int64_t d_stride = component_stride(rows, width);
          kernels.transform_gradients({layer, now, p * panel, width, d_stride}, dy, zeros, d);
          float* target =
              sums + tile_part * layer.weight_floats() + p * panel * layer.weights() * in;
          for (int64_t i = 0; i < layer.components(); ++i) {
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
      const float* from = sums + p * panel * layer.weights() * in;
      for (int64_t i = begin; i < end; ++i) {
        kernels.gradient_of_weights(layer.kind, from + i * width, in * width, parts.by_tiles,
                                    layer.weight_floats(), width, dw + i * out + p * panel,
                                    in * out);
      }
    }
  });
}

}  // namespace hardmoe::cpu
