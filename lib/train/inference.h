// Runs a trained network over images in evaluation mode. Not for training: see train/trainer.h.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/image_set.h"
#include "engine/engine.h"

namespace hardmoe {

/// Throws Error(usage) unless the engine supports the precision. Call it before a stage begins.
void require_precision(const Engine& engine, Precision precision);

/// A network compiled for evaluation, whose weights can be exchanged.
class Inference {
 public:
  /// `image_size`: the one the network was built for. The engine must outlive this.
  Inference(Engine& engine, Network network, int image_size, Precision precision,
            int64_t batch = 128);

  /// Loads weights. Throws Error naming `where` if they do not fit the network.
  void load(const StateDict& weights, const std::string& where);

  /// Receives the results for consecutive entries of `items`: the position of the first one, their
  /// features (rows×D) and their logits (rows×V; empty for a trunk).
  using Visit = std::function<void(int64_t position, int64_t rows, std::span<const float> features,
                                   std::span<const float> logits)>;

  /// Runs the network on `items` of the images and passes the results to `visit`, in order. An
  /// empty `items` means no items.
  void run(const ImageSet& images, const std::vector<int64_t>& items, const Visit& visit);

  /// Runs a network of maps (InputKind::map) on `rows` of `maps`, N×H×W×C.
  void run(const Tensor& maps, const std::vector<int64_t>& rows, const Visit& visit);

  const Network& network() const { return network_; }

 private:
  void run_batches(const std::function<const Batch*()>& next, const Visit& visit);

  Network network_;
  int image_size_;
  int64_t batch_;
  int64_t feature_size_, logits_size_;  // of one image
  std::unique_ptr<Program> program_;
  std::vector<float> features_, logits_;
};

/// Returns 0, 1, … images.size()-1.
std::vector<int64_t> all_items(const ImageSet& images);

}  // namespace hardmoe
