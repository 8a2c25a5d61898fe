// The noise of gates: standard normal numbers, each a function of the program's seed, the step, the
// operator and the element, so that neither threads nor an interruption change them. Philox4x32-10
// (Salmon et al. 2011) as in base/random.h, for RandomUse::noise; of the four words of a block two
// pairs of normal numbers (Box & Muller 1958).
#pragma once

#include <math.h>

#include <cstdint>

#include "base/random.h"
#include "engine/both_engines.h"

namespace hardmoe {

/// What the draws of one operator in one step depend on.
struct NoiseKey {
  uint64_t seed = 0;  ///< CompileOptions::seed
  uint32_t step = 0;  ///< from 1
  uint32_t op = 0;    ///< the operator's output, as a number of a value
};

/// The numbers of elements 4·block … 4·block + 3; elements are counted over rows without padding.
struct NoiseBlock {
  float values[4];
};

HARDMOE_BOTH_ENGINES NoiseBlock noise_block(const NoiseKey& key, uint32_t block) {
  uint32_t c[4] = {block, static_cast<uint32_t>(RandomUse::noise), key.step, key.op};
  uint32_t k[2] = {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t left = uint64_t{0xD2511F53} * c[0], right = uint64_t{0xCD9E8D57} * c[2];
    c[0] = static_cast<uint32_t>(right >> 32) ^ c[1] ^ k[0];
    c[2] = static_cast<uint32_t>(left >> 32) ^ c[3] ^ k[1];
    c[1] = static_cast<uint32_t>(right);
    c[3] = static_cast<uint32_t>(left);
    k[0] += 0x9E3779B9;
    k[1] += 0xBB67AE85;
  }
  NoiseBlock block_of;
  for (int pair = 0; pair < 4; pair += 2) {
    const float first = static_cast<float>(c[pair] >> 8) * 0x1p-24F;  // [0, 1)
    const float angle = 6.2831853F * (static_cast<float>(c[pair + 1] >> 8) * 0x1p-24F);
    const float radius = sqrtf(-2.0F * logf(1.0F - first));
    block_of.values[pair] = radius * cosf(angle);
    block_of.values[pair + 1] = radius * sinf(angle);
  }
  return block_of;
}

/// Returns the number of one element.
HARDMOE_BOTH_ENGINES float noise_at(const NoiseKey& key, int64_t element) {
  return noise_block(key, static_cast<uint32_t>(element / 4)).values[element % 4];
}

}  // namespace hardmoe
