// Running a trained network over images in evaluation mode.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "engine/engine.h"

namespace hardmoe {

/// Throws Error(usage) unless the engine can; asked before a stage is begun.
void require_precision(const Engine& engine, Precision precision);

class Inference {
 public:
  /// image_size: what the network was built for. The engine must outlive this.
  Inference(Engine& engine, Network network, int image_size, Precision precision,
            int64_t batch = 128);

  /// Throws Error naming `where` if the weights do not fit.
  void load(const StateDict& weights, const std::string& where);

  /// Rows of consecutive entries of `items`: the first one's position there, their features
  /// (rows×D) and logits (rows×V; empty for a trunk).
  using Visit = std::function<void(int64_t position, int64_t rows, std::span<const float> features,
                                   std::span<const float> logits)>;

  /// Hands the network's answers for items of the split to `visit`, in order. `items` empty: none.
  void run(const Split& split, const std::vector<int64_t>& items, const Visit& visit);

  const Network& network() const { return network_; }

 private:
  Network network_;
  int image_size_;
  int64_t batch_;
  int64_t feature_size_, logits_size_;  // of one image
  std::unique_ptr<Program> program_;
  std::vector<float> features_, logits_;
};

/// 0, 1, … split.size()-1.
std::vector<int64_t> all_items(const Split& split);

}  // namespace hardmoe
