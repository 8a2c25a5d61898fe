// Writes an embedding of any size: rows around uneven clusters, float16 .npy parts. Each value is a
// function of the seed and its place alone. For measurements, not for statistics: the noise is a
// sum of four uniform numbers.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/random.h"
#include "base/simd.h"
#include "base/threads.h"
#include "tensor/npy.h"

namespace {

using namespace hardmoe;

struct Options {
  std::filesystem::path out;
  int64_t rows = 1'000'000, cols = 64, clusters = 500, part_rows = 10'000'000;
  double noise = 0.7;
  uint64_t seed = 1;
};

/// SplitMix64's output function (Steele, Lea & Flood 2014).
inline uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

/// Nearly normal: the sum of a number's four 16-bit parts, of mean 0 and variance 1.
inline float noise_at(uint64_t key) {
  const uint64_t bits = mix(key * 0x9E3779B97F4A7C15);
  const auto sum = static_cast<int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) +
                                        (bits >> 32 & 0xFFFF) + (bits >> 48));
  return static_cast<float>(sum - 131070) * (1.0F / 37837.2F);
}

/// Half precision by arithmetic that vectorises; the values are far from its limits.
inline uint16_t half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
  const uint32_t rounded = rest + 0xFFF + (rest >> 13 & 1);
  return static_cast<uint16_t>(rounded < 0x38800000 ? sign : sign | (rounded - 0x38000000) >> 13);
}

HARDMOE_VECTOR_KERNEL
void fill_row(const float* centre, uint64_t key, float noise, int64_t cols, uint16_t* out) {
  for (int64_t d = 0; d < cols; ++d) {
    out[d] = half(centre[d] + noise * noise_at(key + static_cast<uint64_t>(d)));
  }
}

void run(const Options& options) {
  make_writable_folder(options.out);
  Random random(options.seed, RandomUse::test);
  std::vector<float> centres(static_cast<size_t>(options.clusters * options.cols));
  for (float& value : centres) value = random.normal();
  constexpr int64_t block = 65536;
  std::vector<Float16> values(static_cast<size_t>(block * options.cols));
  for (int64_t first = 0, part = 0; first < options.rows; first += options.part_rows, ++part) {
    const int64_t end = std::min(options.rows, first + options.part_rows);
    NpyWriter writer(options.out / fmt::format("part-{:05}.npy", part), DType::f16, {options.cols});
    for (int64_t begin = first; begin < end; begin += block) {
      const int64_t count = std::min(block, end - begin);
      parallel_for(count, 256, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; ++i) {
          const auto row = static_cast<uint64_t>(begin + i);
          // Shares fall linearly from twice the mean to nothing.
          const double draw =
              static_cast<double>(mix(row + options.seed * 0x632BE59BD9B4E019) >> 11) * 0x1p-53;
          const auto cluster =
              static_cast<int64_t>((1 - std::sqrt(draw)) * static_cast<double>(options.clusters));
          fill_row(centres.data() + std::min(cluster, options.clusters - 1) * options.cols,
                   (row + 1) * static_cast<uint64_t>(options.cols) + options.seed,
                   static_cast<float>(options.noise), options.cols,
                   reinterpret_cast<uint16_t*>(values.data() + i * options.cols));
        }
      });
      writer.append(values.data(), count);
    }
    writer.finish();
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Write a clustered embedding of any size as float16 .npy parts", "bench-embedding");
  Options options;
  app.add_option("--out", options.out, "Folder for the parts")->required();
  app.add_option("--rows", options.rows, "Rows")->check(CLI::PositiveNumber);
  app.add_option("--cols", options.cols, "Values a row")->check(CLI::PositiveNumber);
  app.add_option("--clusters", options.clusters, "Clusters")->check(CLI::PositiveNumber);
  app.add_option("--noise", options.noise, "Deviation about the centres, which have 1");
  app.add_option("--part-rows", options.part_rows, "Rows a file")->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "Seed");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench-embedding: " << error.what() << "\n";
    return 1;
  }
}
