// moe-pack: the networks of a mixture as one folder that stands alone.
#pragma once

#include <string>

namespace hardmoe {

/// What moe-pack is to do.
struct PackTask {
  std::string run;     ///< see find_networks()
  std::string row;     ///< see find_networks()
  std::string out;     ///< folder of the packed mixture
  bool force = false;  ///< see Stage::Options::force
};

/// Copies what answering takes of a mixture, as docs/formats.md describes it ("Packed mixture"), and
/// opens the copy once. Returns a line of JSON. Throws Error(usage) as find_networks() and
/// open_networks() do, and if what is found is one network, whose folder stands alone already.
std::string pack_mixture(const PackTask& task);

}  // namespace hardmoe
