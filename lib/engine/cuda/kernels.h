// The CUDA engine's own kernels: what cuDNN and cuBLASLt do not do, or not in one pass. The sibling
// of cpu/kernels.h: same formulas, same rounding of activations, same treatment of NaN. Each call
// only enqueues: no synchronisation, no allocation, nothing read from the host afterwards, so a
// call can be captured in a graph. What changes from step to step (learning rate, tags) is read
// from device memory. Every sum is added up in a fixed order: the same input on the same kind of
// GPU gives the same bits.
//
// All pointers are device pointers, 16-byte aligned. Activations are NHWC: rows×C, row-major (rows
// = N·H·W). Channels may be any number; multiples of 8 (bf16) or 4 (fp32) take 128-bit accesses.
// bytes_moved() of a call is the device memory it has to read and write at least, each operand
// once; a second pass over what the first one read counts again.
#pragma once

#include <cstdint>

#include "engine/ops/batch_norm.h"
#include "engine/spec.h"
#include "gpu/stream.h"
#include "tensor/dtype.h"

namespace hardmoe::cuda {

/// An activation array of either precision.
struct Activations {
  void* data = nullptr;
  Precision precision = Precision::fp32;
  explicit operator bool() const { return data != nullptr; }
};

// ---- input ----

/// uint8 RGB pixels → (pixel − mean)/deviation in channels 0 … 2 of each pixel; channels from 3 up
/// are zero.
struct ImageInput {
  const uint8_t* pixels = nullptr;  ///< n×3
  int64_t n = 0;                    ///< pixels of all images
  float mean[3] = {};
  float deviation[3] = {};
  int64_t channels = 3;  ///< of `out`, at least 3
  Activations out;       ///< n×channels
};
void normalize_images(const ImageInput& args, Stream stream);
int64_t bytes_moved(const ImageInput& args);

// ---- element by element ----

/// float → activation, n elements.
void convert(const float* in, int64_t n, Activations out, Stream stream);
/// activation → float, n elements.
void to_float(Activations in, int64_t n, float* out, Stream stream);
/// out = a + b, n elements; all three of one precision. `out` may be a or b.
void add(Activations a, Activations b, int64_t n, Activations out, Stream stream);
/// out = in, n elements of one precision.
void copy(Activations in, int64_t n, Activations out, Stream stream);
/// values *= factor, n of them.
void scale(float* values, int64_t n, float factor, Stream stream);
/// out[c] = Σ over rows of dy (rows×columns): the gradient of a linear layer's bias.
void bias_gradient(Activations dy, int64_t rows, int64_t columns, float* out, Stream stream);

// ---- batch norm ----

/// Floats of workspace that norm_statistics() and norm_backward() need on the current device. Calls
/// of one stream may share one workspace; nothing in it outlives a call.
int64_t norm_workspace_floats(int64_t rows, int64_t channels);

/// What a batch norm of the training mode keeps of a batch, per channel, for its backward pass.
struct NormState {
  float* mean = nullptr;
  float* inverse_deviation = nullptr;  ///< 1/√(variance + ε)
  float* scale = nullptr;              ///< gamma·inverse_deviation
  float* shift = nullptr;              ///< beta − mean·scale
};

/// Mean and biased variance of x over rows, the norm's state, and the running statistics moved on
/// as PyTorch does (unbiased variance, momentum of engine/ops/batch_norm.h); one row leaves the
/// running variance as it is.
struct NormStatistics {
  Activations x;
  int64_t rows = 0;
  int64_t channels = 0;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float* running_mean = nullptr;
  float* running_var = nullptr;
  NormState state;
  float* workspace = nullptr;
};
void norm_statistics(const NormStatistics& args, Stream stream);
int64_t bytes_moved(const NormStatistics& args);

/// The same from sums that a convolution left: Σx and Σx² per channel, float32. `x` and `workspace`
/// are not read. Loses digits where |mean| is far above the deviation.
void norm_statistics_from_sums(const NormStatistics& args, const float* sum, const float* squares,
                               Stream stream);

/// scale and shift from running statistics, for inference.
void norm_coefficients(const float* gamma, const float* beta, const float* running_mean,
                       const float* running_var, int64_t channels, float* scale, float* shift,
                       Stream stream);

/// Bytes of the mask that norm_apply() may leave of where its ReLU let values through: read by
/// norm_backward() instead of y, at a fraction of the bytes. 0 where channels are too odd for one.
int64_t norm_mask_bytes(Precision precision, int64_t rows, int64_t channels);

/// y = [relu](x·scale + shift [+ residual]), per channel. y may be x or the residual.
struct NormApply {
  Activations x;
  Activations residual;  ///< may be empty
  Activations y;
  uint8_t* mask = nullptr;  ///< written unless null; norm_mask_bytes() long
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool relu = false;
  int64_t rows = 0;
  int64_t channels = 0;
};
void norm_apply(const NormApply& args, Stream stream);
int64_t bytes_moved(const NormApply& args);

/// Backward of norm_apply∘norm_statistics (Ioffe & Szegedy 2015, §3). With g = mask·(dy + dy2):
///   d_beta = Σg,  d_gamma = Σ g·x̂,  dx = γ/σ·(g − d_beta/M − x̂·d_gamma/M)
/// The ReLU's mask: `mask` if given, else y > 0 if y is given, else x·scale + shift > 0 (right only
/// without a residual).
struct NormBackward {
  Activations x;                  ///< the forward input
  Activations y;                  ///< the forward output; may be empty
  const uint8_t* mask = nullptr;  ///< as norm_apply() left it; may be null
  Activations dy;                 ///< gradient of the output; holds g afterwards if `keep_g`
  Activations dy2;                ///< a second gradient to add; may be empty, else keep_g is needed
  Activations dx;                 ///< may be dy, unless g is read again afterwards
  const float* gamma = nullptr;
  NormState state;  ///< as norm_statistics() left it
  float* d_gamma = nullptr;
  float* d_beta = nullptr;
  bool relu = false;
  bool keep_g = false;  ///< the masked gradient is needed by the residual branch
  int64_t rows = 0;
  int64_t channels = 0;
  float* workspace = nullptr;
};
void norm_backward(const NormBackward& args, Stream stream);
int64_t bytes_moved(const NormBackward& args);

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
void frozen_norm_backward(const FrozenNormBackward& args, Stream stream);

// ---- pooling ----

/// Square windows over x (N×H×W×C) → y (N×OH×OW×C), padding never wins. Of equal values the first
/// in row-major order wins; a NaN wins over numbers. Windows of up to 15×15.
struct MaxPoolShape {
  int64_t n = 0;
  int64_t height = 0, width = 0, channels = 0;  ///< of x
  int64_t out_height = 0, out_width = 0;        ///< of y
  int kernel = 3, stride = 2, padding = 1;
};
/// `index`: which place of its window won, one byte an output element; null in inference.
void max_pool(const MaxPoolShape& pool, Activations x, Activations y, uint8_t* index,
              Stream stream);
/// dx = Σ of dy over the windows that x's element won.
void max_pool_backward(const MaxPoolShape& pool, Activations dy, const uint8_t* index,
                       Activations dx, Stream stream);
int64_t bytes_moved(const MaxPoolShape& pool, Precision precision, bool with_index);

/// Mean over positions: x N×P×C → out N×C, float32.
void average_pool(Activations x, int64_t n, int64_t positions, int64_t channels, float* out,
                  Stream stream);
/// Gradient of average_pool: dx = dy/P at every position. dy and dx each of their own precision.
void average_pool_backward(Activations dy, int64_t n, int64_t positions, int64_t channels,
                           Activations dx, Stream stream);

// ---- loss ----

/// Loss of each row and its gradient (n×V) with respect to the logits, divided by n
/// (Mahajan et al. 2018, §2).
/// softmax: −Σ t_j log p_j with t = (1−ε)/k on each tag + ε/V; a row without tags has loss 0.
/// sigmoid: Σ_j log(1+e^z_j) − y_j z_j with y = (1−ε)·[tag] + ε/2.
struct TagLossArgs {
  LossKind kind = LossKind::softmax;
  float smoothing = 0;
  float weight = 1;  ///< of the loss: the gradient has it, row_loss and loss_sum do not
  const float* logits = nullptr;     ///< n×stride
  const int32_t* tag_ptr = nullptr;  ///< n+1: row i has tag_ids[tag_ptr[i]] … [tag_ptr[i+1]−1],
  const int32_t* tag_ids = nullptr;  ///< ascending
  const float* row_weights = nullptr;  ///< n: factors of the rows' losses; null: all 1
  int64_t n = 0;
  int64_t tags = 0;            ///< V
  int64_t stride = 0;          ///< elements from row to row, logits and gradients; at least V
  double* row_loss = nullptr;  ///< n, written
  double* loss_sum = nullptr;  ///< += mean over rows; may be null
  Activations gradient;        ///< n×stride in its own precision; columns from V up become 0
};
void tag_loss(const TagLossArgs& args, Stream stream);
int64_t bytes_moved(const TagLossArgs& args);

/// Loss of each row against a teacher's scores (LossSpec::teacher) and its gradient (n×V) with
/// respect to the logits, divided by n. Nothing goes to the teacher.
struct TeacherLossArgs {
  LossKind kind = LossKind::softmax;
  float temperature = 1;
  float weight = 1;                    ///< as TagLossArgs has it
  const float* logits = nullptr;       ///< n×stride
  const float* teacher = nullptr;      ///< n×stride
  const float* row_weights = nullptr;  ///< n: factors of the rows' losses; null: all 1
  int64_t n = 0;
  int64_t tags = 0;            ///< V
  int64_t stride = 0;          ///< elements from row to row, at least V
  double* row_loss = nullptr;  ///< n, written
  double* loss_sum = nullptr;  ///< += mean over rows
  Activations gradient;        ///< n×stride in its own precision; columns from V up become 0
};
void teacher_loss(const TeacherLossArgs& args, Stream stream);

/// sum += mean of n rows' losses.
void add_mean_loss(const double* row_loss, int64_t n, double* sum, Stream stream);

// ---- update ----

/// What changes from step to step beside the batch; a device copy of it is read.
struct StepFactors {
  float lr = 0;
  float step_size = 0;        ///< AdamW: lr / (1 − beta1^t)
  float root_correction = 1;  ///< AdamW: 1 / √(1 − beta2^t)
  uint32_t step = 0;          ///< t, from 1
  int32_t images = 0;         ///< of the batch, which has room for more in inference
};
/// On the host. step counts from 1.
StepFactors step_factors(const OptimizerSpec& spec, float lr, int64_t step);

/// One update of all parameters, which lie in one array with the learned ones first: moments and
/// weights of the learned ones, the moving average of all, and the bf16 copies that the products
/// read, in one pass.
struct Update {
  OptimizerSpec spec;
  const StepFactors* factors = nullptr;  ///< device memory
  float* weights = nullptr;
  const float* gradients = nullptr;
  float* first = nullptr;
  float* second = nullptr;        ///< AdamW's only
  float* average = nullptr;       ///< null: no averaged weights
  const float* origin = nullptr;  ///< w⁰, where spec.pull is not 0
  BFloat16* copies = nullptr;     ///< null: none; element i is weights[i] rounded
  int64_t learned = 0;            ///< floats; a multiple of 4
  int64_t slow = 0;  ///< the last of these learn at slow_factor times the rate; as above
  float slow_factor = 1;
  int64_t length = 0;  ///< floats, running statistics included; a multiple of 4
};
void update_weights(const Update& args, Stream stream);
int64_t bytes_moved(const Update& args);

}  // namespace hardmoe::cuda
