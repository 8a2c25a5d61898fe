// Runs a mixture's router, base and experts over a set of images. Stages that they share
// (moe/shared_stages.h) are computed once an image: as maps of many images, which are then passed
// to the rest of each network.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "moe/mixture.h"

namespace hardmoe {

/// Returns the choices of `count` images from `first` on.
ExpertChoices slice(const ExpertChoices& choices, int64_t first, int64_t count);

/// Receives and decides what MixtureNetworks::run() does with each image.
struct MixtureVisits {
  int64_t experts_an_image = 1;
  /// Receives the base's answers; empty: it is not asked.
  Inference::Visit base;
  /// Without a router returns the choices of the images `first` … `first + count − 1`, whose
  /// answers `base` has.
  std::function<ExpertChoices(int64_t first, int64_t count)> choose;
  /// Receives an expert's answers to the choices of these numbers, image·n + choice.
  std::function<void(std::span<const size_t> numbers, std::span<const float> features,
                     std::span<const float> logits)>
      expert;
};

class MixtureNetworks {
 public:
  /// `heads`: with classifier heads, so that there are logits. `images`: how many images' maps are
  /// kept at a time, and are a batch at most; 0: as many as memory should hold. `batch`: the most
  /// images in a batch, which takes as long however few it has. Engine and mixture must outlive
  /// this.
  MixtureNetworks(Engine& engine, const Mixture& mixture, Precision precision, bool heads,
                  int64_t images = 0, int64_t batch = 128);

  /// Asks the base, and then the experts that router or `visits` choose, about all images of the
  /// set. Returns their choices.
  ExpertChoices run(const ImageSet& images, const MixtureVisits& visits);

  const Mixture& mixture() const { return mixture_; }

 private:
  /// Compiles the parts or the whole, unless that is done.
  void prepare(bool shares);
  void compute_maps(const ImageSet& images, int64_t first, int64_t count);
  /// Loads weights and runs the rest of the network, or the whole, on images `first + row`.
  void answer(const StateDict& weights, const std::string& where, const ImageSet& images,
              int64_t first, const std::vector<int64_t>& rows, const Inference::Visit& visit);
  /// Returns the choices of a router that is a network by itself.
  ExpertChoices route(const ImageSet& images, int64_t experts_an_image);
  /// Returns the router's choices by the maps of `count` images.
  ExpertChoices route(int64_t count, int64_t experts_an_image);
  void ask_experts(const ImageSet& images, int64_t first, const ExpertChoices& choices,
                   const MixtureVisits& visits);

  Engine& engine_;
  const Mixture& mixture_;
  Precision precision_;
  int64_t tags_;              ///< 0: without heads
  int64_t batch_;             ///< images
  int64_t images_at_a_time_;  ///< where stages are shared; 0: they cannot be
  std::optional<Inference> whole_, shared_, rest_;
  std::optional<Inference> router_;  ///< behind the shared stages, or the whole of another network
  bool shares_ = false;              ///< in the present run
  Tensor maps_;                      ///< of the present images
};

/// The trunks' features of N images.
struct EmbeddedImages {
  std::vector<uint16_t> experts;  ///< N: whose each image is
  Tensor expert_features;         ///< N×D: of that expert
  Tensor base_features;           ///< N×D; empty if the base was not asked
};

/// Returns the features of base and experts. `experts`: each image's; none: the router or the
/// base's features choose, by price if `use_prices`. `base`: the base is asked in any case.
EmbeddedImages embed_by_experts(MixtureNetworks& networks, const ImageSet& images,
                                const std::optional<std::vector<uint16_t>>& experts, bool base,
                                bool use_prices);

}  // namespace hardmoe
