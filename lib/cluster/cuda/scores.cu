// What is read off a block of scores: the nearest centroid, gaps, candidates. 32 threads a point,
// each with every 32nd centroid, so that a row of scores is read in whole lines; scores come from
// the second-level cache, where the product left them.
#include <cmath>

#include "cluster/cuda/kernels.h"
#include "gpu/launch.cuh"

namespace hardmoe::cluster_cuda {
namespace {

using cuda::divide_up;
using cuda::dynamic_shared;
using cuda::launch;

constexpr int lanes = 32;
constexpr int points_a_block = 8;
constexpr int threads = lanes * points_a_block;

/// Where a thread stands: its lane, and the point it shares with the others of its group.
struct Place {
  int lane;
  int64_t row;
};

__device__ __forceinline__ Place place() {
  const int thread = static_cast<int>(threadIdx.x);
  return {thread % lanes, int64_t{blockIdx.x} * points_a_block + thread / lanes};
}

struct Candidate {
  float score;
  int32_t cluster;
};

__device__ __forceinline__ bool before(const Candidate& a, const Candidate& b) {
  return a.score < b.score || (a.score == b.score && a.cluster < b.cluster);
}

__device__ __forceinline__ float score_of(const Scores& s, int64_t row, int64_t c) {
  return fmaf(-2.0F, s.products[row * s.clusters + c], s.bias[c]);
}

/// What `combine` makes of the 32 values of a point; every thread of the block must call.
template <class T, class Combine>
__device__ T over_lanes(int lane, const T& value, const Combine& combine) {
  T* shared = reinterpret_cast<T*>(dynamic_shared);
  T* mine = shared + threadIdx.x;
  __syncthreads();  // what a call before this one left has been read
  *mine = value;
  for (int half = lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half) *mine = combine(mine[0], mine[half]);
  }
  __syncthreads();
  return *(mine - lane);
}

/// The least score of the point, the lower centroid of equals.
__device__ Candidate least(const Scores& s, const Place& at) {
  Candidate best{INFINITY, 0};
  if (at.row < s.rows) {
    for (int64_t c = at.lane; c < s.clusters; c += lanes) {
      const Candidate next{score_of(s, at.row, c), static_cast<int32_t>(c)};
      if (before(next, best)) best = next;
    }
  }
  return over_lanes(at.lane, best,
                    [](const Candidate& a, const Candidate& b) { return before(b, a) ? b : a; });
}

__global__ void __launch_bounds__(threads)
    nearest_kernel(Scores s, const float* __restrict__ points, const float* __restrict__ centroids,
                   int64_t depth, uint16_t* __restrict__ label, float* __restrict__ distance) {
  const Place at = place();
  const Candidate best = least(s, at);
  float sum = 0;
  if (at.row < s.rows) {
    const float* point = points + at.row * depth;
    const float* centroid = centroids + best.cluster * depth;
    for (int64_t d = at.lane; d < depth; d += lanes) {
      const float difference = point[d] - centroid[d];
      sum = fmaf(difference, difference, sum);
    }
  }
  sum = over_lanes(at.lane, sum, [](float a, float b) { return a + b; });
  if (at.row < s.rows && at.lane == 0) {
    label[at.row] = static_cast<uint16_t>(best.cluster);
    distance[at.row] = sum;
  }
}

struct LeastTwo {
  float least, second;
};

__global__ void __launch_bounds__(threads) gaps_kernel(Scores s, float* __restrict__ gap) {
  const Place at = place();
  LeastTwo two{INFINITY, INFINITY};
  const auto combine = [](const LeastTwo& a, const LeastTwo& b) {
    return LeastTwo{fminf(a.least, b.least),
                    fminf(fmaxf(a.least, b.least), fminf(a.second, b.second))};
  };
  if (at.row < s.rows) {
    for (int64_t c = at.lane; c < s.clusters; c += lanes) {
      two = combine(two, {score_of(s, at.row, c), INFINITY});
    }
  }
  two = over_lanes(at.lane, two, combine);
  if (at.row < s.rows && at.lane == 0) gap[at.row] = two.second - two.least;
}

/// The least of all centroids' highest scores.
__device__ float least_highest(const Scores& s, const float* __restrict__ slack, const Place& at) {
  float least = INFINITY;
  if (at.row < s.rows) {
    for (int64_t c = at.lane; c < s.clusters; c += lanes) {
      least = fminf(least, score_of(s, at.row, c) + slack[c]);
    }
  }
  return over_lanes(at.lane, least, [](float a, float b) { return fminf(a, b); });
}

__device__ __forceinline__ int32_t candidates_of_lane(const Scores& s, const Place& at,
                                                      float limit) {
  int32_t count = 0;
  for (int64_t c = at.lane; c < s.clusters; c += lanes) {
    count += score_of(s, at.row, c) <= limit ? 1 : 0;
  }
  return count;
}

__global__ void __launch_bounds__(threads)
    count_candidates_kernel(Scores s, const float* __restrict__ slack, float* __restrict__ limit,
                            int64_t* __restrict__ counts, int32_t* __restrict__ settled) {
  const Place at = place();
  const Candidate best = least(s, at);
  const float most = least_highest(s, slack, at);
  int32_t count = at.row < s.rows ? candidates_of_lane(s, at, most) : 0;
  count = over_lanes(at.lane, count, [](int32_t a, int32_t b) { return a + b; });
  if (at.row >= s.rows || at.lane != 0) return;
  limit[at.row] = most;
  counts[at.row] = count > 1 ? count : 0;
  if (count <= 1) atomicAdd(settled + best.cluster, 1);
}

__global__ void __launch_bounds__(threads)
    write_candidates_kernel(Scores s, const float* __restrict__ norms,
                            const float* __restrict__ limit, const int64_t* __restrict__ first,
                            uint16_t* __restrict__ cluster, float* __restrict__ score) {
  int32_t* counts = reinterpret_cast<int32_t*>(dynamic_shared);
  const Place at = place();
  const bool contested = at.row < s.rows && first[at.row] < first[at.row + 1];
  counts[threadIdx.x] = contested ? candidates_of_lane(s, at, limit[at.row]) : 0;
  __syncthreads();
  if (!contested) return;
  int64_t target = first[at.row];
  for (int l = 0; l < at.lane; ++l) target += counts[threadIdx.x - at.lane + l];
  for (int64_t c = at.lane; c < s.clusters; c += lanes) {
    if (score_of(s, at.row, c) <= limit[at.row]) {
      cluster[target] = static_cast<uint16_t>(c);
      score[target] = fmaf(-2.0F, s.products[at.row * s.clusters + c], norms[c]);
      ++target;
    }
  }
}

/// A point a thread. Its candidates are in no order, so that equals are told apart by number.
__global__ void __launch_bounds__(threads)
    count_winners_kernel(const int64_t* __restrict__ first, int64_t rows,
                         const uint16_t* __restrict__ cluster, const float* __restrict__ score,
                         const float* __restrict__ price, int32_t* __restrict__ sizes) {
  const int64_t row = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row >= rows || first[row] == first[row + 1]) return;
  Candidate best{INFINITY, 0};
  for (int64_t i = first[row]; i < first[row + 1]; ++i) {
    const Candidate next{score[i] + price[cluster[i]], cluster[i]};
    if (before(next, best)) best = next;
  }
  atomicAdd(sizes + best.cluster, 1);
}

int64_t blocks_for(const Scores& s) { return divide_up(s.rows, points_a_block); }

}  // namespace

void nearest(const Scores& scores, const float* points, const float* centroids, int64_t depth,
             uint16_t* label, float* distance, Stream stream) {
  launch("nearest centroid", nearest_kernel, blocks_for(scores), threads,
         threads * sizeof(Candidate), stream, scores, points, centroids, depth, label, distance);
}

void gaps(const Scores& scores, float* gap, Stream stream) {
  launch("gaps", gaps_kernel, blocks_for(scores), threads, threads * sizeof(LeastTwo), stream,
         scores, gap);
}

void count_candidates(const Scores& scores, const float* slack, float* limit, int64_t* counts,
                      int32_t* settled, Stream stream) {
  launch("count candidates", count_candidates_kernel, blocks_for(scores), threads,
         threads * sizeof(Candidate), stream, scores, slack, limit, counts, settled);
}

void write_candidates(const Scores& scores, const float* norms, const float* limit,
                      const int64_t* first, uint16_t* cluster, float* score, Stream stream) {
  launch("write candidates", write_candidates_kernel, blocks_for(scores), threads,
         threads * sizeof(int32_t), stream, scores, norms, limit, first, cluster, score);
}

void count_winners(const int64_t* first, int64_t rows, const uint16_t* cluster, const float* score,
                   const float* price, int32_t* sizes, Stream stream) {
  launch("count winners", count_winners_kernel, divide_up(rows, threads), threads, 0, stream, first,
         rows, cluster, score, price, sizes);
}

}  // namespace hardmoe::cluster_cuda
