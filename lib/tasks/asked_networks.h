// The networks that a person named, asked about images that they name: one window of images after
// another. Not for a dataset's images: see moe/evaluation.h and tasks/embed.h.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "ingest/view_windows.h"
#include "moe/predictor.h"
#include "tasks/opened_networks.h"
#include "train/inference_precision.h"

namespace hardmoe {

/// How many images came, and of how many there was an error.
struct ImageCounts {
  int64_t all = 0, unreadable = 0;
  /// Throws Error if none came.
  void require_some() const;
};

/// A model or a mixture, ready to be asked.
class AskedNetworks {
 public:
  explicit AskedNetworks(OpenedNetworks opened) : opened_(std::move(opened)) {}

  const OpenedNetworks& opened() const { return opened_; }
  bool is_mixture() const { return opened_.mixture.has_value(); }
  bool by_router() const { return is_mixture() && opened_.mixture->router.has_value(); }
  /// Returns the number of a mixture's experts; 0 for a model.
  int64_t experts() const { return is_mixture() ? opened_.mixture->partition.gater.experts : 0; }
  /// Returns the values of a row of the unified embedding, or of a model's feature.
  int64_t embedding_values() const;
  /// Returns the precision to compute in: the configured one, else what was evaluated if the engine
  /// has it, else fp32. Throws Error(usage) if the engine lacks it.
  Precision precision(const Engine& engine, InferencePrecision configured) const;
  /// Returns the images of a batch that suits windows of `images` images.
  int64_t batch(int64_t images) const;
  /// Returns the networks on the engine, with batches of batch(images) images. This must outlive them.
  std::unique_ptr<Predictor> predictor(Engine& engine, Precision precision, int64_t images) const;

  /// Calls `visit` for windows of all images in their order; the next is read meanwhile, so that two
  /// are held. A window has as many images as fill batches of each expert, as far as memory goes.
  /// `besides`: returns forms of views that are to be made as well as those that the networks take;
  /// it is asked for each window.
  ImageCounts for_each_window(NamedImages& images,
                              const std::function<std::vector<ViewForm>()>& besides,
                              const std::function<void(const ViewWindow&)>& visit) const;

 private:
  const ModelCard& card() const {
    return is_mixture() ? opened_.mixture->base.card : opened_.model->card;
  }

  OpenedNetworks opened_;
};

}  // namespace hardmoe
