// The convolutions and products of lib/engine/cuda on the host: the defining sums, in double. Each
// plan asks for workspace and fills it with NaNs, as whoever shares it must expect.
#include <cstring>

#include "base/threads.h"
#include "emulated_gpu.h"
#include "engine/cuda/conv_plan.h"
#include "engine/cuda/linear_plan.h"
#include "streams.h"

namespace hardmoe::cuda {
namespace {

constexpr int64_t scratch_bytes = 1000;

/// An array of either precision.
struct Values {
  void* data;
  Precision precision;

  double at(int64_t i) const {
    if (precision == Precision::bf16) return double{to_float(static_cast<BFloat16*>(data)[i])};
    return double{static_cast<float*>(data)[i]};
  }
  void set(int64_t i, double value) const {
    const auto single = static_cast<float>(value);
    if (precision == Precision::bf16) {
      static_cast<BFloat16*>(data)[i] = to_bfloat16(single);
    } else {
      static_cast<float*>(data)[i] = single;
    }
  }
};

/// Calls visit(place in x, place in y, place in the weights' window) for every output position and
/// every place of its window that lies in the image; positions, not channels.
template <class Visit>
void for_each_tap(const ConvShape& s, int64_t image, const Visit& visit) {
  for (int64_t oy = 0; oy < s.out_height; ++oy) {
    for (int64_t ox = 0; ox < s.out_width; ++ox) {
      for (int64_t ky = 0; ky < s.kernel; ++ky) {
        const int64_t y = oy * s.stride + ky - s.padding;
        if (y < 0 || y >= s.height) continue;
        for (int64_t kx = 0; kx < s.kernel; ++kx) {
          const int64_t x = ox * s.stride + kx - s.padding;
          if (x < 0 || x >= s.width) continue;
          visit((image * s.height + y) * s.width + x,
                (image * s.out_height + oy) * s.out_width + ox, ky * s.kernel + kx);
        }
      }
    }
  }
}

std::vector<double> read(const Values& values, int64_t n) {
  std::vector<double> all(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) all[static_cast<size_t>(i)] = values.at(i);
  return all;
}

void write(const std::vector<double>& all, const Values& values) {
  for (size_t i = 0; i < all.size(); ++i) values.set(static_cast<int64_t>(i), all[i]);
}

void convolve(const ConvRequest& request, const ConvArrays& arrays) {
  const ConvShape& s = request.shape;
  const bool to_weights = request.pass == ConvPass::weight_gradient;
  const Values x{arrays.x, request.precision}, y{arrays.y, request.precision};
  const Values w{arrays.weights, to_weights ? Precision::fp32 : request.precision};
  const int64_t window = s.kernel * s.kernel, in = s.channels, out = s.out_channels;
  const auto weight = [&](int64_t o, int64_t tap) { return (o * window + tap) * in; };
  const bool forward = request.pass == ConvPass::forward || request.pass == ConvPass::forward_sums;
  std::vector<double> from_x(forward || to_weights ? read(x, s.x_elements())
                                                   : std::vector<double>());
  std::vector<double> from_y(forward ? std::vector<double>() : read(y, s.y_elements()));
  std::vector<double> from_w(to_weights ? std::vector<double>() : read(w, s.weight_elements()));
  const int64_t results = forward      ? s.y_elements()
                          : to_weights ? s.weight_elements()
                                       : s.x_elements();
  std::vector<double> result(static_cast<size_t>(results), 0.0);
  for (int64_t image = 0; image < s.batch; ++image) {
    for_each_tap(s, image, [&](int64_t at_x, int64_t at_y, int64_t tap) {
      for (int64_t o = 0; o < out; ++o) {
        const double* row = from_x.data() + at_x * in;
        if (forward) {
          double sum = 0;
          const double* weights = from_w.data() + weight(o, tap);
          for (int64_t i = 0; i < in; ++i) sum += row[i] * weights[i];
          result[static_cast<size_t>(at_y * out + o)] += sum;
          continue;
        }
        const double slope = from_y[static_cast<size_t>(at_y * out + o)];
        if (to_weights) {
          double* sums = result.data() + weight(o, tap);
          for (int64_t i = 0; i < in; ++i) sums[i] += row[i] * slope;
        } else {
          double* sums = result.data() + at_x * in;
          const double* weights = from_w.data() + weight(o, tap);
          for (int64_t i = 0; i < in; ++i) sums[i] += weights[i] * slope;
        }
      }
    });
  }
  write(result, forward ? y : to_weights ? w : x);
  if (request.pass != ConvPass::forward_sums) return;
  for (int64_t o = 0; o < out; ++o) {
    double sum = 0, squares = 0;
    for (int64_t i = o; i < s.y_elements(); i += out) {
      const double value = result[static_cast<size_t>(i)];
      sum += value;
      squares += value * value;
    }
    arrays.sum[o] = static_cast<float>(sum);
    arrays.squares[o] = static_cast<float>(squares);
  }
}

class EmulatedConv final : public ConvPlan {
 public:
  EmulatedConv(Stream stream, const ConvRequest& request, double seconds)
      : stream_(stream), request_(request), seconds_(seconds) {}
  int64_t workspace_bytes() const override { return scratch_bytes; }
  double seconds() const override { return seconds_; }
  void run(const ConvArrays& arrays) const override {
    cuda_emulation::enqueue(stream_, [request = request_, arrays] {
      convolve(request, arrays);
      std::memset(arrays.workspace, 0xFF, scratch_bytes);
    });
  }

 private:
  Stream stream_;
  ConvRequest request_;
  double seconds_;
};

class EmulatedConvs final : public ConvPlanner {
 public:
  explicit EmulatedConvs(Gpu& gpu)
      : stream_(gpu.compute()), offers_sums_(cuda_emulation::gpu_options().offers_sums) {}
  std::string describe() const override { return "plain loops"; }
  std::shared_ptr<const ConvPlan> plan(const ConvRequest& request) override {
    if (request.pass == ConvPass::forward_sums) {
      if (!offers_sums_) return nullptr;
      ++cuda_emulation::gpu_counts().convolutions_with_sums;
    }
    return std::make_shared<EmulatedConv>(stream_, request, 1e-3);
  }

 private:
  Stream stream_;
  bool offers_sums_;
};

void multiply(const LinearRequest& r, const LinearArrays& arrays) {
  const bool to_weights = r.pass == LinearPass::weight_gradient;
  const bool forward = r.pass == LinearPass::forward;
  const Values x{arrays.x, r.precision};
  const Values w{arrays.weights, to_weights ? Precision::fp32 : r.precision};
  const Precision result = r.working ? r.precision : Precision::fp32;
  const Values y{arrays.y, forward ? result : r.precision};
  const Values bias{const_cast<void*>(arrays.bias), result};
  const int64_t rows = forward || !to_weights ? r.rows : r.out;
  const int64_t columns = forward ? r.out : r.in;
  const int64_t depth = forward ? r.in : to_weights ? r.rows : r.out;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = forward && r.bias ? bias.at(j) : 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += forward      ? x.at(i * r.in + k) * w.at(j * r.in + k)
               : to_weights ? y.at(k * r.out + i) * x.at(k * r.in + j)
                            : y.at(i * r.out + k) * w.at(k * r.in + j);
      }
      (forward ? y : to_weights ? w : x).set(i * columns + j, sum);
    }
  }
}

class EmulatedLinear final : public LinearPlan {
 public:
  EmulatedLinear(Stream stream, const LinearRequest& request)
      : stream_(stream), request_(request) {}
  int64_t workspace_bytes() const override { return scratch_bytes; }
  void run(const LinearArrays& arrays) const override {
    cuda_emulation::enqueue(stream_, [request = request_, arrays] {
      multiply(request, arrays);
      std::memset(arrays.workspace, 0xFF, scratch_bytes);
    });
  }

 private:
  Stream stream_;
  LinearRequest request_;
};

class EmulatedLinears final : public LinearPlanner {
 public:
  explicit EmulatedLinears(Gpu& gpu) : stream_(gpu.compute()) {}
  std::string describe() const override { return "plain loops"; }
  std::shared_ptr<const LinearPlan> plan(const LinearRequest& request) override {
    return std::make_shared<EmulatedLinear>(stream_, request);
  }

 private:
  Stream stream_;
};

}  // namespace

std::unique_ptr<ConvPlanner> make_conv_planner(Gpu& gpu) {
  return std::make_unique<EmulatedConvs>(gpu);
}
std::unique_ptr<LinearPlanner> make_linear_planner(Gpu& gpu) {
  return std::make_unique<EmulatedLinears>(gpu);
}

}  // namespace hardmoe::cuda
