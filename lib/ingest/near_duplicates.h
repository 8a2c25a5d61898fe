// Groups images that look alike whatever their bytes, by 64-bit perceptual hashes that differ in
// few bits. Not for exact duplicates, which ingest finds by their SHA-256.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

/// The largest distance that group_near_duplicates accepts, in bits.
inline constexpr int most_different_bits = 8;

/// Returns the perceptual hash of an H×W×3 image: the signs of the 8×8 lowest frequencies of a
/// 32×32 gray version's cosine transform (without the constant one), relative to their median.
/// Scaling, compression and small changes of brightness leave nearly all bits unchanged.
uint64_t perceptual_hash(const Tensor& image);

/// Returns for each hash the number of the first hash of its group. Hashes at most `distance` bits
/// apart are in one group, also through a chain of others. Takes about 45 bytes a hash and, instead
/// of comparing all pairs, a few sorts for small distances (2 for distance 1; for distance 4, 15
/// with 10,000 hashes and 35 with 100 million): Manku, Jain & Das Sarma, "Detecting near-duplicates
/// for web crawling", WWW 2007, §3.
std::vector<uint32_t> group_near_duplicates(const std::vector<uint64_t>& hashes, int distance);

}  // namespace hardmoe
