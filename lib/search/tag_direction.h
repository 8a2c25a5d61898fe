// Where a tag lies in an embedding.
#pragma once

#include <string>
#include <vector>

#include "tasks/opened_networks.h"

namespace hardmoe {

/// Returns the tag's row of the decoder that reads the embedding (a shared decoder's, or a model's
/// head's), at length 1: the direction in which images have the tag the more probably. It knows all
/// tags that were learned, whatever those of the images searched. Not the mean of the rows of images
/// with the tag: features are not negative, so that all such means are near the mean of all rows, and
/// their neighbours nearly the same. Throws Error(usage) naming the nearest tag if there is none of
/// that name, and for a mixture whose experts have heads of their own.
std::vector<float> tag_direction(const OpenedNetworks& opened, const std::string& tag);

}  // namespace hardmoe
