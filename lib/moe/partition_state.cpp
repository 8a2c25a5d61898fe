#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "moe/partition.h"
#include "moe/partition_json.h"
#include "tensor/saved_state.h"

namespace hardmoe {
namespace {

constexpr const char* state_name = "checkpoint.safetensors";

std::vector<float> floats(const StateDict& tensors, const std::string& name,
                          const std::string& where, int64_t count) {
  const Shape shape = {count};
  const auto values = require_tensor(tensors, name, where, &shape).as<float>();
  return {values.begin(), values.end()};
}

/// Logs each iteration, and saves the fit when it is time.
class Observer {
 public:
  Observer(const PartitionConfig& config, const std::filesystem::path& folder, std::string run)
      : config_(config), folder_(folder), run_(std::move(run)) {}

  void operator()(const PartitionState& state) {
    const KMeansIteration& i = state.kmeans.iterations.back();
    const auto parts = static_cast<double>(state.kmeans.prices.size());
    const auto images = static_cast<double>(state.points);
    const auto share = [&](int64_t size) { return static_cast<double>(size) * parts / images; };
    log_info("iteration {:3}  inertia {:.6g}  parts {:.3f} to {:.3f} of mean  moved {}{}  {:.1f} s",
             state.kmeans.iterations.size(), i.inertia / images, share(i.smallest),
             share(i.largest), fmt::format("{:.1f}%", 100 * static_cast<double>(i.moved) / images),
             i.reseeded > 0 ? fmt::format("  re-seeded {}", i.reseeded) : "", i.seconds);
    if (interrupted() || now_seconds() - saved_ >= config_.checkpoint_seconds) {
      save_partition_state(folder_, state, run_);
      saved_ = now_seconds();
    }
    throw_if_interrupted();
  }

 private:
  const PartitionConfig& config_;
  std::filesystem::path folder_;
  std::string run_;
  double saved_ = now_seconds();
};

}  // namespace

void save_partition_state(const std::filesystem::path& folder, const PartitionState& state,
                          const std::string& run) {
  const KMeansState& kmeans = state.kmeans;
  const auto clusters = static_cast<int64_t>(kmeans.prices.size());
  StateDict tensors = {{"centroids", kmeans.centroids},
                       {"prices", Tensor::from(kmeans.prices, {clusters})},
                       {"last.centroids", kmeans.last_centroids},
                       {"last.prices", Tensor::from(kmeans.last_prices, {clusters})},
                       {"attempt", Tensor::from(std::vector<int32_t>{state.attempt}, {1})}};
  if (!kmeans.best_prices.empty()) {
    tensors["best.centroids"] = kmeans.best_centroids;
    tensors["best.prices"] = Tensor::from(kmeans.best_prices, {clusters});
    tensors["best.off"] = Tensor::from(std::vector<int64_t>{kmeans.best_off}, {1});
  }
  Json iterations = Json::array();
  for (const auto& iteration : kmeans.iterations) iterations.push_back(iteration_json(iteration));
  Metadata metadata = {{"iterations", iterations.dump()}};
  if (state.pca) {
    tensors["pca.mean"] = state.pca->mean;
  }
  if (state.pca && state.pca->rotates()) {
    tensors["pca.components"] = state.pca->components;
    tensors["pca.variance"] =
        Tensor::from(state.pca->variance, {static_cast<int64_t>(state.pca->variance.size())});
    tensors["pca.total_variance"] =
        Tensor::from(std::vector<double>{state.pca->total_variance}, {1});
    metadata["whitened"] = state.pca->whitened ? "true" : "false";
  }
  save_state(folder / state_name, {std::move(tensors), std::move(metadata)}, run);
}

std::optional<PartitionState> load_partition_state(const std::filesystem::path& folder,
                                                   const std::string& run) {
  const auto file = folder / state_name;
  auto saved = load_state(file, run);
  if (!saved) return std::nullopt;
  const std::string where = file.string();
  auto& [tensors, metadata] = *saved;
  PartitionState state;
  if (tensors.contains("pca.mean")) {
    state.pca.emplace().mean = require_tensor(tensors, "pca.mean", where);
  }
  if (tensors.contains("pca.components")) {
    Pca& pca = *state.pca;
    pca.components = require_tensor(tensors, "pca.components", where);
    const auto variance = require_tensor(tensors, "pca.variance", where).as<double>();
    pca.variance.assign(variance.begin(), variance.end());
    pca.total_variance = require_tensor(tensors, "pca.total_variance", where).as<double>()[0];
    pca.whitened = metadata["whitened"] == "true";
  }
  const Shape one = {1};
  if (tensors.contains("attempt")) {
    state.attempt = require_tensor(tensors, "attempt", where, &one).as<int32_t>()[0];
  }
  KMeansState& kmeans = state.kmeans;
  kmeans.centroids = require_tensor(tensors, "centroids", where);
  const Shape shape = kmeans.centroids.shape();
  kmeans.last_centroids = require_tensor(tensors, "last.centroids", where, &shape);
  kmeans.prices = floats(tensors, "prices", where, shape.at(0));
  kmeans.last_prices = floats(tensors, "last.prices", where, shape.at(0));
  if (tensors.contains("best.prices")) {
    kmeans.best_centroids = require_tensor(tensors, "best.centroids", where, &shape);
    kmeans.best_prices = floats(tensors, "best.prices", where, shape.at(0));
    kmeans.best_off = require_tensor(tensors, "best.off", where, &one).as<int64_t>()[0];
  }
  for (const Json& iteration : parse_json(metadata["iterations"], where)) {
    kmeans.iterations.push_back(parse_iteration(iteration, where));
  }
  return state;
}

Partition partition_in_folder(const std::filesystem::path& folder, const RowSource& features,
                              std::span<const int32_t> top_tags, const PartitionConfig& config,
                              uint64_t seed, ClusterBackend& backend, const std::string& run) {
  Observer observer(config, folder, run);
  const auto resume = load_partition_state(folder, run);
  if (resume) log_info("resuming after iteration {}", resume->kmeans.iterations.size());
  return partition_images(
      features, top_tags, config, seed,
      {.observe = std::ref(observer), .resume = resume ? &*resume : nullptr, .backend = &backend});
}

void remove_partition_state(const std::filesystem::path& folder) {
  remove_states(folder / state_name);
}

}  // namespace hardmoe
