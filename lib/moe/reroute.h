// Discriminative re-routing: after a first round each image goes to the expert that does best on
// it, by a linear classifier on the base's features z:
//
//   expert of z = argmax_k w_k·z + b_k = argmin_k ‖z − c_k‖² + p_k,
//                 c_k = w_k/2 + v,  p_k = −b_k − ‖c_k‖²,  for any common v
//
// so that its result is a gater like any other. It is fitted on images that no expert was trained
// on (an expert does best on those it has seen), stays near the old rule as far as cross-validation
// says, and its prices then move until the training images' parts are equal again. The classifier
// and its objective are ours; experts' losses that supervise a hard gate go back to Jacobs et al.
// 1991. Not for the first partition: see partition.h.
#pragma once

#include "cluster/softmax_classifier.h"
#include "moe/partition.h"
#include "moe/reroute_config.h"

namespace hardmoe {

/// What the experts can do on M images that none of them was trained on.
struct HeldOut {
  Tensor features;  ///< M×D float32, the base's
  Tensor losses;    ///< M×K float32: each expert's loss on the image's tags
};

/// Returns how many held-out images it takes at least to compare so many experts.
int64_t held_out_needed(int64_t experts);

/// Returns the gater of a classifier of projected features: its centroids and prices choose the
/// class of the greatest score. The common shift v of the centroids is the one that leaves least to
/// the prices, so that softmax(−‖z − c‖²), by which several experts are mixed, is the classifier's
/// own as far as P dimensions allow. `gater`: gives its projection, inputs and seed.
Gater gater_of(const LinearClassifier& classifier, const Gater& gater);

/// Returns the gater's rule as a classifier with the scores scale · (‖z‖² − ‖z − c_k‖² − p_k), if
/// it has one centroid an expert; nothing for others (random, several centroids, halved experts).
std::optional<LinearClassifier> classifier_of(const Gater& gater, double scale);

/// Returns the partition by the experts' losses, with Partition::rerouting. `features`: those that
/// `before` was made of. Parts of the training images are within `tolerance` (0: any size), as far
/// as equal features allow. If no classifier routes held-out images better than the old rule, the
/// old partition is returned. Throws Error(usage) for settings or held-out images with which it is
/// impossible.
Partition reroute(const RowSource& features, const Partition& before, const HeldOut& held_out,
                  const PartitionConfig& config, uint64_t seed, const PartitionRun& run = {});

}  // namespace hardmoe
