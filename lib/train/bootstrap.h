// How sure a mean over images, or a difference of two, is: the bootstrap over images and seeds
// (Efron 1979; percentile intervals). Images and seeds are drawn with replacement, both at once, and
// all quantities of a call see the same draws, so differences are paired.
//
//   θ*(q) = mean over drawn seeds s of [ Σ_i c_i x_si / Σ_i c_i ],  c_i: how often image i was drawn
//
// Not for metrics that are no means over images, such as mAP.
#pragma once

#include <cstdint>
#include <vector>

namespace hardmoe {

/// One quantity: for each of S seeds its values of N images; NaN: undefined for that image, which
/// is then left out.
using SeedColumns = std::vector<std::vector<float>>;

/// How a bootstrap is done.
struct BootstrapOptions {
  int resamples = 10000;
  double confidence = 0.95;  ///< share of the resamples between low and high
  uint64_t seed = 1;         ///< of the draws, which depend on nothing else but N and S
};

/// What is known of a quantity.
struct Estimate {
  double mean = 0;            ///< over seeds, of the means over images
  double standard_error = 0;  ///< of that mean, from the seeds' spread (n − 1); NaN of one seed
  double low = 0, high = 0;   ///< percentiles of the resamples, interpolated as NumPy's
  int64_t images = 0;         ///< with a value in every seed
  int64_t seeds = 0;
};

/// Returns a − b, by seed and image. Throws Error unless both have the same seeds and images.
SeedColumns difference(const SeedColumns& a, const SeedColumns& b);

/// Returns an estimate of each quantity. Throws Error unless all have the same S ≥ 1 and N ≥ 1, and
/// each some value in every seed. The same on any number of threads.
std::vector<Estimate> bootstrap(const std::vector<SeedColumns>& quantities,
                                const BootstrapOptions& options = {});

}  // namespace hardmoe
