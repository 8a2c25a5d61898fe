// The networks that a command applies to images, by their folders: one model, or a mixture.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moe/routing.h"
#include "nn/sparse.h"
#include "tasks/config.h"

namespace hardmoe {

/// The folders of one model or of a mixture.
struct NetworkFolders {
  std::string model = {};  ///< of moe-train-base or moe-train-expert; empty for a mixture
  std::vector<std::string> others = {};                 ///< further models, averaged with `model`
  std::string base = {}, partition = {}, experts = {};  ///< a mixture's
  std::vector<std::string> features = {};  ///< the external embedding that routes images, if any
  std::string router = {};                 ///< of moe-train-router; empty: the gater routes
  SparseOverride sparse = {};              ///< what is changed of the models' layers of experts

  /// Sets `model` to the first and `others` to the rest; nothing if there are none.
  void set_models(const std::vector<std::string>& models);

  /// Returns whether these are a mixture's. Throws Error(usage) naming options that are missing, or
  /// that a mixture does not take.
  bool is_mixture() const;
};

/// Reads a model, and changes its layers of experts. Throws as load_model() and changed() do.
Model load_changed_model(const std::filesystem::path& folder, const SparseOverride& by);

/// Returns the precision in which the configuration trains such networks: expert.precision of a mixture,
/// sparse.precision of a model with layers of experts, base.precision of any other. Throws as
/// NetworkFolders::is_mixture() does.
Precision training_precision(const NetworkFolders& networks, const Config& config);

/// Adds what is changed of a model to a stage's inputs; nothing if nothing is.
void add_identity(const SparseOverride& by, Json& inputs);

/// What routes a mixture's images, if the base does not.
struct OtherRouting {
  std::optional<EmbeddingInput> external;  ///< of NetworkFolders::features
  Json identity = Json::object();          ///< for a stage's inputs
};

/// Opens the router into the mixture, or finds the external embedding's rows of `split`. Throws
/// Error(usage) as open_router() and find_routing_features() do.
OtherRouting open_routing(const NetworkFolders& networks, bool use_prices, const Split& split,
                          Mixture& mixture);

/// Opens a partition of the dataset's training images. Throws Error(usage) if it was made of
/// another base's embedding, or of other images.
Partition open_partition(const std::filesystem::path& partition, const std::filesystem::path& base,
                         const Dataset& dataset);

/// Throws Error(usage) unless the mixture's experts, which are in `experts`, were trained on the
/// dataset.
void require_trained_on(const Mixture& mixture, const std::filesystem::path& experts,
                        const Dataset& dataset);

/// Throws Error(usage) if `experts` is the folder of one expert, not the folder of all experts.
void check_experts_folder(const std::filesystem::path& experts);

/// Returns what a stage that applies networks to images reads, for Stage::Options::reads: the data
/// set, the networks ("" for those not given), and the files of an external embedding.
std::vector<std::filesystem::path> paths_read(const std::filesystem::path& dataset,
                                              const NetworkFolders& networks,
                                              const std::optional<EmbeddingInput>& external);

}  // namespace hardmoe
