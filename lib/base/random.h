// Counter-based random numbers: every draw is a pure function of (seed, stream, index), so results
// do not depend on threads, workers or resumption. Philox4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). Not for cryptography.
#pragma once

#include <cstdint>
#include <vector>

namespace hardmoe {

/// The purpose of a stream of draws. Different purposes draw independently under one seed.
enum class RandomUse : uint32_t {
  init = 1,
  order,
  augment,
  kmeans,
  split,
  partition,
  test,
  resample,
  sample,
  selection,
  outside,
  bootstrap,
  noise
};

/// One stream of draws; it repeats after 2^34 draws of 32 bits.
class Random {
 public:
  Random(uint64_t seed, RandomUse use, uint64_t stream = 0);

  /// Returns 32 or 64 random bits.
  uint32_t next_u32();
  uint64_t next_u64();
  /// Returns a uniform number in [0, 1) with 24 (float) or 53 (double) random bits.
  float uniform();
  double uniform_double();
  /// Returns a uniform integer in [0, bound), without modulo bias; bound > 0.
  uint64_t below(uint64_t bound);
  /// Returns a standard normal number (Box–Muller).
  float normal();

 private:
  void refill();

  uint32_t key_[2];
  uint32_t counter_[4];
  uint32_t block_[4] = {};
  int used_ = 4;
};

/// Returns a uniformly random permutation of 0 … n-1 (Fisher–Yates).
std::vector<int64_t> random_permutation(int64_t n, Random random);

}  // namespace hardmoe
