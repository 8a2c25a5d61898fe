// README.md of a packed mixture: what it is and how it is used, for someone who has never heard of
// hardmoe.
#pragma once

#include <string>

#include "moe/mixture_card.h"
#include "tasks/opened_networks.h"

namespace hardmoe {

/// Returns the text. `opened`: a mixture.
std::string pack_readme(const MixtureCard& card, const OpenedNetworks& opened);

}  // namespace hardmoe
