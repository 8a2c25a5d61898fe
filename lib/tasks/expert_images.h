// The images that an expert sees besides its part, and those it is stopped early by, as the section
// expert asks for them. For moe-train-expert.
#pragma once

#include <cstdint>
#include <optional>

#include "moe/embedding.h"
#include "moe/partition.h"
#include "tasks/train_expert.h"
#include "tasks/training.h"

namespace hardmoe {

/// An expert of an opened partition.
struct PartExpert {
  const TrainExpertTask& task;
  const ExpertConfig& config;
  const Partition& partition;
  int64_t number = 0;
};

/// Returns the embedding of --embedding if overlap or nearest images need it. Throws Error(usage)
/// if it is missing or not the one that the partition was made of, or if a setting does not go with
/// the partition.
std::optional<EmbeddingInput> find_embedding_for(const PartExpert& expert);

/// Returns the settings beyond TrainConfig that shape the expert, for its stage's inputs; empty
/// where all have their defaults. `with_part`: false for an expert on all images.
Json expert_inputs(const ExpertConfig& config, bool with_part);

/// Returns the factor of an expert's learning rate: √(its part's images ÷ (images/experts)), from ½
/// to 2. A rule of ours: a part with fewer images has fewer steps, and is sooner learned by heart.
double lr_factor(const Partition& partition, int64_t expert);

/// Widens job.items, the expert's part, by overlap, then adds images from outside of it.
void add_images_of_others(const PartExpert& expert, const std::optional<EmbeddingInput>& embedding,
                          ImageTraining& job);

/// Sets the images of job.selection: those that the gater gives to the expert by `base`'s features.
/// Warns if there are none.
void route_selection(const PartExpert& expert, const Model& base, Precision precision,
                     bool use_prices, Engine& engine, ImageTraining& job);

}  // namespace hardmoe
