#include <algorithm>

#include "cluster/cuda/backend.h"
#include "cluster/pca.h"

namespace hardmoe::cluster_cuda {
namespace {

constexpr int64_t chunk_rows = 2048;  // summed in float32, then added to float64
constexpr int64_t most_chunks = 16;   // of one call: enough to keep the GPU busy
constexpr int64_t buffer_bytes = int64_t{64} << 20;

int64_t rows_that_fit(int64_t columns) {
  return std::max<int64_t>(buffer_bytes / (columns * static_cast<int64_t>(sizeof(float))), 1);
}

}  // namespace

void ClusterCuda::add_scatter(const Points& points, std::span<const float> mean,
                              std::span<double> scatter) {
  const auto& own = static_cast<const DevicePoints&>(points);
  const int64_t depth = own.view().cols, size = depth * depth;
  const int64_t chunks = std::clamp<int64_t>(
      std::min(rows_that_fit(depth) / chunk_rows, rows_that_fit(size)), 1, most_chunks);
  mean_.upload(mean.data(), depth);
  double* sums = sums_.reserve(size);
  device_->zero(sums, size * static_cast<int64_t>(sizeof(double)), device_->compute());
  for (const Section& section : own.sections) {
    const float* rows = rows_of(own, section);
    for (int64_t first = 0; first < section.rows; first += chunks * chunk_rows) {
      const int64_t count = std::min(chunks * chunk_rows, section.rows - first);
      const int64_t used = (count + chunk_rows - 1) / chunk_rows;
      float* centred = centred_.reserve(chunks * chunk_rows * depth);
      float* products = products_.reserve(chunks * size);
      centre(rows + first * depth, mean_.data(), count, used * chunk_rows, depth, centred,
             device_->compute());
      device_->squares(centred, used, chunk_rows, depth, products);
      add_products(products, used, size, sums, device_->compute());
    }
  }
  const auto found = sums_.download(size);
  for (size_t i = 0; i < scatter.size(); ++i) scatter[i] += found[i];
}

void ClusterCuda::project(const Points& points, const Pca& pca, float* out) {
  const auto& own = static_cast<const DevicePoints&>(points);
  const int64_t depth = pca.inputs(), outputs = pca.outputs();
  mean_.upload(pca.mean.as<float>().data(), depth);
  centroids_.upload(pca.components.as<float>().data(), outputs * depth);
  for (const Section& section : own.sections) {
    const float* rows = rows_of(own, section);
    const int64_t block = std::min(rows_that_fit(depth), section.rows);
    float* centred = centred_.reserve(block * depth);
    float* products = products_.reserve(block * outputs);
    for (int64_t first = 0; first < section.rows; first += block) {
      const int64_t count = std::min(block, section.rows - first);
      centre(rows + first * depth, mean_.data(), count, count, depth, centred, device_->compute());
      device_->multiply(centred, centroids_.data(), count, outputs, depth, products);
      device_->download(out + (section.first + first) * outputs, products,
                        count * outputs * static_cast<int64_t>(sizeof(float)));
    }
  }
}

}  // namespace hardmoe::cluster_cuda
