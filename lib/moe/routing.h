// What a mixture routes images by: its base's features; or, where the partition was made of an
// embedding of one's own (CLIP's, DINOv2's …), that embedding's rows for the images, from .npy
// files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moe/embedding.h"
#include "moe/mixture.h"

namespace hardmoe {

/// The files of --features, whose row i routes image i of the split; none where the base's features
/// do. Throws Error(usage) where the partition (the mixture's, in `partition`) needs them and
/// `given` is empty, and the reverse; for rows of another width or number than the partition and
/// the split have; and for the training images' rows with another split.
std::optional<EmbeddingInput> find_routing_features(const Mixture& mixture,
                                                    const std::filesystem::path& partition,
                                                    const std::vector<std::string>& given,
                                                    const Split& split);

/// What the gater takes: float32 N×D of the split's images, from these files or else by the base.
/// `inference`: of the base's or the experts' trunk; the base's weights are loaded into it where
/// they are needed.
Tensor routing_features(Inference& inference, const Mixture& mixture, const Split& split,
                        const std::optional<EmbeddingInput>& own);

/// Throws Error(usage) unless `given` names what the partition in `partition` was made of, an
/// embedding of one's own; for commands that take the training images' experts from the partition.
void check_training_features(const std::filesystem::path& partition,
                             const std::vector<std::string>& given);

/// Warns where the partition is of an embedding of one's own: what will be asked for later.
void warn_of_own_embedding(const std::filesystem::path& partition,
                           const std::filesystem::path& base);

/// Warns where the images went to experts as differently from the training images that the features
/// must be others. `images`: K, routed to each expert first; or each image's expert.
void warn_of_skew(const Partition& partition, const std::vector<int64_t>& images);
void warn_of_skew(const Partition& partition, const std::vector<uint16_t>& assignment);

}  // namespace hardmoe
