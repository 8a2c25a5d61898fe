// The CPU engine's own loops: what oneDNN does not fuse. Bandwidth-bound, parallel over rows,
// vectorised for several instruction sets. `Activation` is float or BFloat16; sums and statistics
// are float or double. Activations are rows×C, row-major (rows = N·H·W).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/ops/batch_norm.h"
#include "engine/spec.h"
#include "tensor/dtype.h"

namespace hardmoe::cpu {

/// An activation array of either precision.
struct Activations {
  void* data = nullptr;
  Precision precision = Precision::fp32;
  explicit operator bool() const { return data != nullptr; }
};

/// uint8 RGB pixels → (pixel − mean)/deviation. n pixels of 3 channels.
void normalize_images(const uint8_t* pixels, int64_t n, const float mean[3],
                      const float deviation[3], Activations out);
/// float → activation, n elements.
void convert(const float* in, int64_t n, Activations out);

/// Room for partial sums of `channels` channels over all threads.
std::vector<double> norm_workspace(int64_t channels);

/// Per-channel mean and biased variance of x (rows×C).
void norm_statistics(Activations x, int64_t rows, int64_t channels, float* mean, float* variance,
                     std::vector<double>& workspace);

/// y = [relu](x·scale + shift [+ residual]), per channel. y may be x.
void norm_apply(Activations x, Activations residual, const float* scale, const float* shift,
                bool relu, int64_t rows, int64_t channels, Activations y);

/// Backward of norm_apply∘norm_statistics (Ioffe & Szegedy 2015, §3). With g = mask·(dy + dy2):
///   d_beta = Σg,  d_gamma = Σ g·x̂,  dx = γ/σ·(g − d_beta/M − x̂·d_gamma/M)
struct NormBackward {
  Activations x;    ///< the forward input
  Activations y;    ///< the forward output; read only where there was a residual and a ReLU
  Activations dy;   ///< gradient of the output; holds g afterwards if `keep_g`
  Activations dy2;  ///< a second gradient to add; may be empty
  Activations dx;   ///< may be dy, unless g is read again afterwards
  const float* gamma;
  const float* mean;
  const float* inverse_deviation;
  const float* scale;  ///< as in norm_apply, to find the ReLU's mask again from x
  const float* shift;
  float* d_gamma;
  float* d_beta;
  bool relu = false;
  bool keep_g = false;  ///< the masked gradient is needed by the residual branch
  int64_t rows = 0;
  int64_t channels = 0;
};
void norm_backward(const NormBackward& args, std::vector<double>& workspace);

/// Backward of norm_apply with constant scale and shift: g = mask·(dy + dy2), dx = scale·g.
struct FrozenNormBackward {
  Activations y;    ///< the forward output, of a ReLU; empty without one
  Activations dy;   ///< gradient of the output; holds g afterwards
  Activations dy2;  ///< a second gradient to add; may be empty
  Activations dx;   ///< may be dy; empty: not wanted
  const float* scale = nullptr;
  int64_t rows = 0;
  int64_t channels = 0;
};
void frozen_norm_backward(const FrozenNormBackward& args);

/// out = in, n elements of one precision.
void copy_activations(Activations in, int64_t n, Activations out);

/// a += b, n elements.
void add_in_place(Activations a, Activations b, int64_t n);

/// Mean over positions: x N×P×C → out N×C, float32.
void average_pool(Activations x, int64_t n, int64_t positions, int64_t channels, float* out);
/// Gradient of average_pool: dx = dy/P at every position.
void average_pool_backward(Activations dy, int64_t n, int64_t positions, int64_t channels,
                           Activations dx);

/// Tags of each row in compressed form, and the rows' weights, as in Batch.
struct Targets {
  const int32_t* ptr;
  const int32_t* ids;
  const float* weights = nullptr;  ///< null: all 1
};

/// Returns the mean over rows of the loss (Mahajan et al. 2018, §2), each row's times its weight,
/// not times spec.weight.
/// softmax: −Σ t_j log p_j with t = (1−ε)/k on each tag + ε/V; a row without tags has loss 0.
/// sigmoid: Σ_j log(1+e^z_j) − y_j z_j with y = (1−ε)·[tag] + ε/2.
/// row_loss: n doubles, each row's. gradient: n×V, that of the mean times spec.weight with respect
/// to the logits.
double tag_loss(const LossSpec& spec, const float* logits, Targets targets, int64_t n, int64_t tags,
                double* row_loss, float* gradient);

/// Returns Σ e^(z − top) of n values; leaves the terms in `out`, which may be z.
float exponential_sum(const float* z, float top, int64_t n, float* out);

/// Returns the mean over rows of the loss against a teacher's scores, n×V as the logits
/// (LossSpec::teacher), each row's times its weight, not times spec.weight. `row_weights`: null: all
/// 1. Other arguments as tag_loss().
double teacher_loss(const LossSpec& spec, const float* logits, const float* teacher,
                    const float* row_weights, int64_t n, int64_t tags, double* row_loss,
                    float* gradient);

/// The state of an update over n parameters that lie in one array. `second` is AdamW's only.
struct Update {
  OptimizerSpec spec;
  float lr = 0;
  int64_t step = 1;  ///< from 1, for AdamW's bias correction
  float* weights = nullptr;
  const float* gradients = nullptr;
  float* first = nullptr;
  float* second = nullptr;
  int64_t n = 0;
  const float* origin = nullptr;  ///< w⁰, where spec.pull is not 0
};
void update_weights(const Update& update);

/// values *= factor, n of them.
void scale(float* values, int64_t n, float factor);

/// average = decay·average + (1 − decay)·weights.
void average_weights(float decay, const float* weights, float* average, int64_t n);

/// One thread's share of a conversion or a sum: n elements.
void to_bf16(const float* in, int64_t n, BFloat16* out);
void add_to(float* sum, const float* term, int64_t n);

/// float of an activation array, n elements.
void to_float(Activations in, int64_t n, float* out);
/// The way back, rounded if `out` is bf16. One thread's share, as to_float().
void from_float(const float* in, int64_t n, Activations out);

/// Returns the array from element `first` on.
inline Activations from_element(Activations array, int64_t first) {
  const int64_t size = array.precision == Precision::bf16 ? 2 : 4;
  return {static_cast<std::byte*>(array.data) + first * size, array.precision};
}

}  // namespace hardmoe::cpu
