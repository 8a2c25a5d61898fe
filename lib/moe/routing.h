// The features that route images: the base's own, or, if the partition was made of an external
// embedding (CLIP's, DINOv2's …), that embedding's rows for the images, from .npy files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moe/embedding.h"
#include "moe/mixture.h"

namespace hardmoe {

/// Finds the files given as --features, whose row i routes image i of the split; returns nothing if
/// the base's features route. Throws Error(usage) if the partition needs files and none are given,
/// or the reverse; if their rows differ in length or number from what the partition and the split
/// need; and for the training images' rows with another split.
std::optional<EmbeddingInput> find_routing_features(const Mixture& mixture,
                                                    const std::filesystem::path& partition,
                                                    const std::vector<std::string>& given,
                                                    const Split& split);

/// Returns the rows of an external embedding, N×D float32.
Tensor external_features(const EmbeddingInput& external);

/// Throws Error(usage) if `given` is not empty and not the external embedding that the partition
/// was made of. For commands that take the training images' experts from the partition itself.
void check_training_features(const std::filesystem::path& partition,
                             const std::vector<std::string>& given);

/// Warns if the partition was made of an external embedding, because later commands will need it.
void warn_of_external_embedding(const std::filesystem::path& partition,
                                const std::filesystem::path& base);

/// Warns if images are routed so unlike the training images that their features were probably made
/// in another way. `images`: K, the number routed to each expert first.
void warn_of_skew(const Partition& partition, const std::vector<int64_t>& images);
/// The same, given each image's expert.
void warn_of_skew(const Partition& partition, const std::vector<uint16_t>& assignment);

}  // namespace hardmoe
