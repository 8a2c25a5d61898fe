// The kernels of k-means and PCA around cuBLAS's products. Each call only enqueues, and every sum
// of floating-point numbers is added up in a fixed order: the same input on the same kind of GPU
// gives the same bits. All pointers are device pointers; matrices are row-major without gaps.
#pragma once

#include <cstdint>

#include "gpu/stream.h"

namespace hardmoe::cluster_cuda {

using cuda::Stream;

/// Points of a block beside all centroids. A point's score is bias[c] − 2·products[c], its squared
/// distance plus the price, less ‖z‖².
struct Scores {
  const float* products;  ///< rows×K: z·c
  const float* bias;      ///< K: ‖c‖² + p_c
  int64_t rows;
  int64_t clusters;
};

/// label[r] = the centroid of the least score, the lower of equals; distance[r] = ‖z − c‖² to it,
/// from the difference itself. points: rows×depth, centroids: K×depth.
void nearest(const Scores& scores, const float* points, const float* centroids, int64_t depth,
             uint16_t* label, float* distance, Stream stream);

/// gap[r] = second least score − least; infinite for one centroid.
void gaps(const Scores& scores, float* gap, Stream stream);

/// limit[r] = the least of score + slack (K) over all centroids; counts[r] = how many scores are
/// not above it, or 0 where that is one only, whose centroid is then counted in settled (K).
void count_candidates(const Scores& scores, const float* slack, float* limit, int64_t* counts,
                      int32_t* settled, Stream stream);
/// The candidates of points that have more than one, from first[r] on (first: rows + 1), with their
/// scores less price[c]. `scores` are those that were counted.
void write_candidates(const Scores& scores, const float* norms, const float* limit,
                      const int64_t* first, uint16_t* cluster, float* score, Stream stream);
/// Adds to sizes (K) the points that each centroid wins from these candidates at these prices.
void count_winners(const int64_t* first, int64_t rows, const uint16_t* cluster, const float* score,
                   const float* price, int32_t* sizes, Stream stream);

/// begin[c] = where label c begins among `count` sorted ones; begin[clusters] = count.
void segment_begins(const uint16_t* sorted, int64_t count, int64_t clusters, int32_t* begin,
                    Stream stream);
/// A segment's rows are summed in pieces of this many, and then their sums.
inline constexpr int64_t piece_rows = 256;
/// partial[p] (depth) = the sum of piece p's rows. Segment s is order[begin[s] … begin[s+1]) and
/// has the pieces piece_begin[s] … piece_begin[s+1]; order null: rows as they lie.
void sum_pieces(const float* points, int64_t depth, const int32_t* order, const int32_t* begin,
                const int32_t* piece_begin, int64_t segments, int64_t pieces, double* partial,
                Stream stream);
/// sums[s] (depth) = the sum of its pieces.
void sum_segments(const double* partial, const int32_t* piece_begin, int64_t segments,
                  int64_t depth, double* sums, Stream stream);
/// partial[i] = the sum of values [i·values_a_sum, …).
inline constexpr int64_t values_a_sum = 4096;
void sum_values(const float* values, int64_t count, double* partial, Stream stream);

/// out[r] = points[r] − mean for r < rows, zeros from there to `padded_rows`.
void centre(const float* points, const float* mean, int64_t rows, int64_t padded_rows,
            int64_t depth, float* out, Stream stream);
/// sums[i] += Σ_b products[b·size + i], b < count.
void add_products(const float* products, int64_t count, int64_t size, double* sums, Stream stream);

}  // namespace hardmoe::cluster_cuda
