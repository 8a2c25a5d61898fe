// Images that look alike, whatever their bytes: by 64-bit perceptual hashes a few bits apart.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

/// The largest distance that group_near_duplicates takes.
inline constexpr int most_different_bits = 8;

/// The signs, against their median, of the 8×8 lowest frequencies of a 32×32 gray version's cosine
/// transform (the constant one set aside): scaling, compression and small changes of brightness
/// leave nearly all bits alone. Of an H×W×3 image.
uint64_t perceptual_hash(const Tensor& image);

/// For each hash the number of the first one alike: hashes at most `distance` bits apart are alike,
/// and whatever is alike to either. Memory: some 45 bytes a hash. Time: a few passes of sorting for
/// small distances (two for 1; for 4, 15 with 10,000 hashes and 35 with 100 million), not all
/// pairs: Manku, Jain & Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007, §3.
std::vector<uint32_t> group_near_duplicates(const std::vector<uint64_t>& hashes, int distance);

}  // namespace hardmoe
