// What a batch norm knows of each channel between its forward and its backward pass: the same for a
// norm of all rows and for that of one expert's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/cpu/kernels.h"

namespace hardmoe::cpu {

/// Where a norm's parameters and running statistics lie.
struct NormParameters {
  const float *gamma, *beta;
  float *running_mean, *running_var;
};

class NormState {
 public:
  explicit NormState(int64_t channels) : channels_(channels) {
    for (auto* v : {&mean_, &variance_, &inverse_, &scale_, &shift_}) {
      v->resize(static_cast<size_t>(channels));
    }
  }

  /// Finds scale and shift for norm_apply(): by the statistics of x (rows×C), which then also move the
  /// running ones on, or by the running ones. One row says nothing of a variance, and leaves that.
  void find(Activations x, int64_t rows, const NormParameters& p, bool batch_statistics,
            std::vector<double>& workspace) {
    const float *mean = p.running_mean, *variance = p.running_var;
    if (batch_statistics) {
      norm_statistics(x, rows, channels_, mean_.data(), variance_.data(), workspace);
      mean = mean_.data();
      variance = variance_.data();
      const float unbias = static_cast<float>(rows) / static_cast<float>(rows - 1);
      for (int64_t c = 0; c < channels_; ++c) {
        p.running_mean[c] += batch_norm_momentum * (mean[c] - p.running_mean[c]);
        if (rows > 1)
          p.running_var[c] += batch_norm_momentum * (variance[c] * unbias - p.running_var[c]);
      }
    }
    for (size_t c = 0; c < scale_.size(); ++c) {
      inverse_[c] = 1 / std::sqrt(variance[c] + batch_norm_epsilon);
      scale_[c] = p.gamma[c] * inverse_[c];
      shift_[c] = p.beta[c] - mean[c] * scale_[c];
    }
  }

  const float* scale() const { return scale_.data(); }
  const float* shift() const { return shift_.data(); }
  /// Sets the arguments that find() has found; only after statistics of a batch.
  void give(NormBackward& args) const {
    args.mean = mean_.data();
    args.inverse_deviation = inverse_.data();
    args.scale = scale_.data();
    args.shift = shift_.data();
  }

 private:
  int64_t channels_;
  std::vector<float> mean_, variance_, inverse_, scale_, shift_;
};

}  // namespace hardmoe::cpu
