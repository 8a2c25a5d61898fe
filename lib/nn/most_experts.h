// How many experts a layer may have; apart from nn/sparse.h, as GPU kernels use it.
#pragma once

namespace hardmoe {

/// The most experts of one layer: a GPU's kernels take the addresses of their parameters as
/// arguments, which have 4 KB in all.
inline constexpr int most_experts = 64;

}  // namespace hardmoe
