// The CPU engine's primitives and kernels one by one against PyTorch (tests/files/README.md), in
// fp32 to its rounding and in bf16 to bf16's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/cpu/kernels.h"
#include "engine/cpu/onednn.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

using cpu::Activations;

/// An array in an activation's precision, from and to float32.
class Buffer {
 public:
  Buffer(Precision precision, int64_t elements)
      : precision_(precision), elements_(elements), bytes_(DType::u8, {4 * elements}) {}
  Buffer(Precision precision, const Tensor& values) : Buffer(precision, values.elements()) {
    cpu::convert(values.as<float>().data(), elements_, view());
  }
  Activations view() { return {bytes_.data(), precision_}; }
  void* data() { return bytes_.data(); }
  Tensor floats() {
    Tensor result(DType::f32, {elements_});
    cpu::to_float(view(), elements_, result.as<float>().data());
    return result;
  }

 private:
  Precision precision_;
  int64_t elements_;
  Tensor bytes_;
};

class OperatorReference : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    // Kernels of this library round to bf16 anywhere; oneDNN's need the processor's help.
    const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
    if (GetParam() == Precision::bf16 && test.starts_with("OneDnn") && !onednn::has_bf16()) {
      GTEST_SKIP() << "no AVX-512 BF16 here";
    }
  }

  const Tensor& stored(const std::string& name) const {
    return require_tensor(reference, name, "operators.safetensors");
  }
  Buffer buffer(const std::string& name) const { return {GetParam(), stored(name)}; }
  Buffer room_for(const std::string& name) const { return {GetParam(), stored(name).elements()}; }

  void expect_near(const Tensor& found, const std::string& name, double fp32 = 1e-6,
                   double bf16 = 5e-3) const {
    const auto a = found.as<float>(), b = stored(name).as<float>();
    ASSERT_EQ(a.size(), b.size()) << name;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < b.size(); ++i) {
      difference += std::pow(double{a[i]} - double{b[i]}, 2);
      norm += std::pow(double{b[i]}, 2);
    }
    EXPECT_LE(std::sqrt(difference / norm), GetParam() == Precision::fp32 ? fp32 : bf16) << name;
  }

  StateDict reference = load_safetensors(test_file("operators.safetensors"));
};

/// Runs a primitive with its scratch.
void execute(const dnnl::primitive& primitive, size_t scratch_bytes,
             std::unordered_map<int, dnnl::memory> arguments) {
  Tensor scratch(DType::u8, {static_cast<int64_t>(scratch_bytes) + 1});
  const onednn::Desc desc({scratch.elements()}, dnnl::memory::data_type::u8,
                          dnnl::memory::format_tag::x);
  arguments.emplace(DNNL_ARG_SCRATCHPAD, onednn::wrap(desc, scratch.data()));
  primitive.execute(onednn::stream(), arguments);
  onednn::stream().wait();
}

/// The weight in a layout and type that a primitive wants; the memory lives in `keep`.
dnnl::memory weight_as(const onednn::Desc& wanted, const Tensor& plain, Tensor& keep) {
  keep = Tensor(DType::u8, {static_cast<int64_t>(wanted.get_size())});
  onednn::Reorder(onednn::plain_weight(plain.shape()), wanted).run(plain.data(), keep.data());
  return onednn::wrap(wanted, keep.data());
}

Tensor plain_gradient(const onednn::Desc& layout, const Tensor& held, const Shape& shape) {
  Tensor plain(DType::f32, shape);
  onednn::Reorder(layout, onednn::plain_weight(shape)).run(held.data(), plain.data());
  return plain;
}

Extent extent_of(const Tensor& activation) {
  return {activation.size(1), activation.size(2), activation.size(3)};
}

TEST_P(OperatorReference, OneDnnConvolutionsEqualPyTorch) {
  struct Case {
    const char* name;
    int stride;
  };
  for (const auto& [label, stride] :
       {Case{"conv3x3", 1}, Case{"conv3x3_s2", 2}, Case{"conv1x1", 1}, Case{"conv1x1_s2", 2},
        Case{"conv7x7_s2", 2}, Case{"conv3x3_rgb", 1}}) {
    const std::string name = label;
    const Tensor& weight = stored(name + ".weight");
    const auto kernel = static_cast<int>(weight.size(2));
    const onednn::Layer layer =
        onednn::convolution(name, {kernel, stride, kernel / 2}, extent_of(stored(name + ".input")),
                            extent_of(stored(name + ".output")), stored(name + ".input").size(0),
                            GetParam(), {true, true});

    Buffer x = buffer(name + ".input"), y = room_for(name + ".output");
    Buffer dy = buffer(name + ".grad_output"), dx = room_for(name + ".input");
    Tensor forward, backward;
    Tensor gradient(DType::u8, {static_cast<int64_t>(layer.weights_gradient.get_size())});
    execute(layer.forward, layer.scratch_bytes,
            {{DNNL_ARG_SRC, onednn::wrap(layer.source, x.data())},
             {DNNL_ARG_WEIGHTS, weight_as(layer.weights_forward, weight, forward)},
             {DNNL_ARG_DST, onednn::wrap(layer.target, y.data())}});
    execute(layer.backward_data, layer.scratch_bytes,
            {{DNNL_ARG_DIFF_DST, onednn::wrap(layer.target, dy.data())},
             {DNNL_ARG_WEIGHTS, weight_as(layer.weights_backward, weight, backward)},
             {DNNL_ARG_DIFF_SRC, onednn::wrap(layer.source, dx.data())}});
    execute(layer.backward_weights, layer.scratch_bytes,
            {{DNNL_ARG_SRC, onednn::wrap(layer.source, x.data())},
             {DNNL_ARG_DIFF_DST, onednn::wrap(layer.target, dy.data())},
             {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(layer.weights_gradient, gradient.data())}});
    expect_near(y.floats(), name + ".output");
    expect_near(dx.floats(), name + ".grad_input");
    expect_near(plain_gradient(layer.weights_gradient, gradient, weight.shape()),
                name + ".grad_weight");
  }
}

TEST_P(OperatorReference, OneDnnInnerProductEqualsPyTorch) {
  const Tensor& weight = stored("linear.weight");
  const int64_t batch = stored("linear.input").size(0), out = weight.size(0);
  const onednn::Layer layer =
      onednn::inner_product({1, 1, weight.size(1)}, out, batch, GetParam(), {true, true});
  const onednn::Desc bias({out}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::x);
  const onednn::Desc slope({batch, out}, onednn::type_of(GetParam()), dnnl::memory::format_tag::nc);
  Buffer x = buffer("linear.input"), dy = buffer("linear.grad_output");
  Buffer dx = room_for("linear.input");
  Tensor y(DType::f32, {batch, out}), d_bias(DType::f32, {out}), forward, backward;
  Tensor gradient(DType::u8, {static_cast<int64_t>(layer.weights_gradient.get_size())});
  execute(layer.forward, layer.scratch_bytes,
          {{DNNL_ARG_SRC, onednn::wrap(layer.source, x.data())},
           {DNNL_ARG_WEIGHTS, weight_as(layer.weights_forward, weight, forward)},
           {DNNL_ARG_BIAS, onednn::wrap(bias, stored("linear.bias").data())},
           {DNNL_ARG_DST, onednn::wrap(layer.target, y.data())}});
  execute(layer.backward_data, layer.scratch_bytes,
          {{DNNL_ARG_DIFF_DST, onednn::wrap(slope, dy.data())},
           {DNNL_ARG_WEIGHTS, weight_as(layer.weights_backward, weight, backward)},
           {DNNL_ARG_DIFF_SRC, onednn::wrap(layer.source, dx.data())}});
  execute(layer.backward_weights, layer.scratch_bytes,
          {{DNNL_ARG_SRC, onednn::wrap(layer.source, x.data())},
           {DNNL_ARG_DIFF_DST, onednn::wrap(slope, dy.data())},
           {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(layer.weights_gradient, gradient.data())},
           {DNNL_ARG_DIFF_BIAS, onednn::wrap(bias, d_bias.data())}});
  expect_near(y, "linear.output");
  expect_near(dx.floats(), "linear.grad_input");
  expect_near(plain_gradient(layer.weights_gradient, gradient, weight.shape()),
              "linear.grad_weight");
  expect_near(d_bias, "linear.grad_bias");
}

// The stored input has many ties: PyTorch gives a window's gradient to its first maximum.
TEST_P(OperatorReference, OneDnnMaxPoolEqualsPyTorch) {
  const Tensor &input = stored("maxpool.input"), &output = stored("maxpool.output");
  const onednn::MaxPool pool = onednn::max_pool({3, 2, 1}, extent_of(input), extent_of(output),
                                                input.size(0), GetParam(), true);
  Buffer x = buffer("maxpool.input"), y = room_for("maxpool.output");
  Buffer dy = buffer("maxpool.grad_output"), dx = room_for("maxpool.input");
  Tensor workspace(DType::u8, {static_cast<int64_t>(pool.workspace.get_size())});
  execute(pool.forward, pool.scratch_bytes,
          {{DNNL_ARG_SRC, onednn::wrap(pool.source, x.data())},
           {DNNL_ARG_DST, onednn::wrap(pool.target, y.data())},
           {DNNL_ARG_WORKSPACE, onednn::wrap(pool.workspace, workspace.data())}});
  execute(pool.backward, pool.scratch_bytes,
          {{DNNL_ARG_DIFF_DST, onednn::wrap(pool.target, dy.data())},
           {DNNL_ARG_WORKSPACE, onednn::wrap(pool.workspace, workspace.data())},
           {DNNL_ARG_DIFF_SRC, onednn::wrap(pool.source, dx.data())}});
  expect_near(y.floats(), "maxpool.output", 0, 0);  // small integers: exact in bf16 too
  expect_near(dx.floats(), "maxpool.grad_input");
}

TEST_P(OperatorReference, AveragePoolEqualsPyTorch) {
  const Tensor& input = stored("avgpool.input");
  const int64_t n = input.size(0), positions = input.size(1) * input.size(2);
  const int64_t channels = input.size(3);
  Buffer x = buffer("avgpool.input"), dy = buffer("avgpool.grad_output");
  Buffer dx = room_for("avgpool.input");
  Tensor y(DType::f32, {n, channels});
  cpu::average_pool(x.view(), n, positions, channels, y.as<float>().data());
  cpu::average_pool_backward(dy.view(), n, positions, channels, dx.view());
  expect_near(y, "avgpool.output");
  expect_near(dx.floats(), "avgpool.grad_input");
}

struct NormCase {
  const char* name;
  bool relu;
  bool residual;
};
constexpr NormCase norm_cases[] = {
    {"bn", false, false}, {"bn_relu", true, false}, {"bn_add_relu", true, true}};

/// scale and shift of norm_apply from statistics.
struct Affine {
  std::vector<float> scale, shift, inverse;
  Affine(std::span<const float> mean, std::span<const float> variance, std::span<const float> gamma,
         std::span<const float> beta) {
    for (size_t c = 0; c < mean.size(); ++c) {
      inverse.push_back(1 / std::sqrt(variance[c] + batch_norm_epsilon));
      scale.push_back(gamma[c] * inverse[c]);
      shift.push_back(beta[c] - mean[c] * scale[c]);
    }
  }
};

TEST_P(OperatorReference, NormWithRunningStatisticsEqualsPyTorch) {
  for (const auto& [label, relu, residual] : norm_cases) {
    const std::string name = label;
    const int64_t channels = stored(name + ".weight").elements();
    const int64_t rows = stored(name + ".input").elements() / channels;
    const Affine affine(stored(name + ".running_mean").as<float>(),
                        stored(name + ".running_var").as<float>(),
                        stored(name + ".weight").as<float>(), stored(name + ".bias").as<float>());
    Buffer x = buffer(name + ".input"), y = room_for(name + ".output");
    Buffer added = buffer(residual ? name + ".residual" : name + ".input");
    const Activations none{nullptr, GetParam()};
    cpu::norm_apply(x.view(), residual ? added.view() : none, affine.scale.data(),
                    affine.shift.data(), relu, rows, channels, y.view());
    expect_near(y.floats(), name + ".eval_output");
    cpu::norm_apply(x.view(), residual ? added.view() : none, affine.scale.data(),
                    affine.shift.data(), relu, rows, channels, x.view());  // in place
    expect_near(x.floats(), name + ".eval_output");
  }
}

TEST_P(OperatorReference, NormWithBatchStatisticsEqualsPyTorch) {
  for (const auto& [label, relu, residual] : norm_cases) {
    const std::string name = label;
    const int64_t channels = stored(name + ".weight").elements();
    const int64_t rows = stored(name + ".input").elements() / channels;
    const auto size = static_cast<size_t>(channels);
    Buffer x = buffer(name + ".input"), y = room_for(name + ".output");
    Buffer added = buffer(residual ? name + ".residual" : name + ".input");
    Buffer dy = buffer(name + ".grad_output"), dx = room_for(name + ".input");
    std::vector<float> mean(size), variance(size);
    auto workspace = cpu::norm_workspace(channels);
    cpu::norm_statistics(x.view(), rows, channels, mean.data(), variance.data(), workspace);
    Tensor running_mean = stored(name + ".running_mean").clone();
    Tensor running_var = stored(name + ".running_var").clone();
    const float unbias = static_cast<float>(rows) / static_cast<float>(rows - 1);
    for (size_t c = 0; c < size; ++c) {
      running_mean.as<float>()[c] += 0.1F * (mean[c] - running_mean.as<float>()[c]);
      running_var.as<float>()[c] += 0.1F * (variance[c] * unbias - running_var.as<float>()[c]);
    }
    expect_near(running_mean, name + ".running_mean_after");
    expect_near(running_var, name + ".running_var_after");

    const auto gamma = stored(name + ".weight").as<float>();
    const Affine affine(mean, variance, gamma, stored(name + ".bias").as<float>());
    const Activations none{nullptr, GetParam()};
    cpu::norm_apply(x.view(), residual ? added.view() : none, affine.scale.data(),
                    affine.shift.data(), relu, rows, channels, y.view());
    expect_near(y.floats(), name + ".output");

    Tensor d_gamma(DType::f32, {channels}), d_beta(DType::f32, {channels});
    cpu::NormBackward args{};
    args.x = x.view();
    if (residual) args.y = y.view();
    args.dy = dy.view();
    args.dx = dx.view();
    args.gamma = gamma.data();
    args.mean = mean.data();
    args.inverse_deviation = affine.inverse.data();
    args.scale = affine.scale.data();
    args.shift = affine.shift.data();
    args.d_gamma = d_gamma.as<float>().data();
    args.d_beta = d_beta.as<float>().data();
    args.relu = relu;
    args.keep_g = residual;
    args.rows = rows;
    args.channels = channels;
    cpu::norm_backward(args, workspace);
    // A rounded sum may fall on the other side of the ReLU.
    expect_near(dx.floats(), name + ".grad_input", 1e-6, 2e-2);
    expect_near(d_gamma, name + ".grad_weight", 1e-6, 2e-2);
    expect_near(d_beta, name + ".grad_bias", 1e-6, 2e-2);
    if (residual) expect_near(dy.floats(), name + ".grad_residual", 1e-6, 2e-2);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, OperatorReference,
                         testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& precision) {
                           return precision.param == Precision::fp32 ? "fp32" : "bf16";
                         });

}  // namespace
}  // namespace hardmoe
