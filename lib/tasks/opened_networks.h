// What find_networks() found, opened for answering about images that have no labels.
#pragma once

#include <optional>

#include "data/dataset.h"
#include "moe/mixture_card.h"
#include "tasks/find_networks.h"

namespace hardmoe {

/// A model, or a mixture with how its answers become one.
struct OpenedNetworks {
  std::optional<Model> model;
  std::optional<Mixture> mixture;
  Vocabulary vocabulary;
  AnswerSettings answer;
};

/// Returns how the row was evaluated, fitted values included; for a pack what it says; the defaults
/// where neither is known.
AnswerSettings answer_settings(const FoundNetworks& found);

/// Opens the networks. Throws Error(usage) as open_mixture() and open_router() do, if the folders do
/// not name the tags, and if an external embedding routes the mixture's images, of which an image
/// itself has no row.
OpenedNetworks open_networks(const FoundNetworks& found);

}  // namespace hardmoe
