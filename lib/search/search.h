// moe-search: images → the nearest images of a collection in an embedding; and near pairs within it.
#pragma once

#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-search is to do.
struct SearchTask {
  std::string run;                     ///< see find_networks()
  std::vector<std::string> images;     ///< see NamedImages
  std::vector<std::string> tags;       ///< looked for in their direction, see tag_direction()
  std::vector<std::string> keys;       ///< of the collection's own images
  std::optional<double> pairs_within;  ///< instead of queries: all pairs that near
  std::string row;                     ///< see find_networks(); empty: shared where there is one
  std::string dataset, embedding;      ///< of the collection; empty: the run's
  int64_t neighbours = 10;
  bool approximate = false;
  bool json = false;
  std::string sheet;  ///< file of a contact sheet; empty: none
};

/// Prints the neighbours of each query, of tags, keys and images in this order, or the pairs; an image
/// that cannot be read is a warning, or a JSON line with its error. Throws Error(usage) as
/// find_networks(), open_networks() and Collection do, and if the embedding was made by other
/// networks than those that would embed the images; at the end Error, saying how many images could not
/// be read.
void search_images(const SearchTask& task, const Config& config, std::istream& standard_input,
                   const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
