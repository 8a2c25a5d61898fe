#include "engine/cpu/onednn.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace hardmoe::onednn {
namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

struct Geometry {
  memory::dims strides, kernel, padding;
};

Geometry geometry(const Window& window) {
  return {{window.stride, window.stride},
          {window.kernel, window.kernel},
          {window.padding, window.padding}};
}

// oneDNN 3 makes primitive descriptors directly from arguments; oneDNN 2 through an operation
// descriptor. `build<P>(args…, [hint])` hides that.
#if DNNL_VERSION_MAJOR >= 3
template <class Primitive, class... Args>
typename Primitive::primitive_desc build_with(const dnnl::primitive_attr& attributes,
                                              const Args&... args) {
  return typename Primitive::primitive_desc(engine(), args..., attributes);
}
template <class Primitive, class Hint, class... Args>
typename Primitive::primitive_desc build_backward(const Hint& hint, const Args&... args) {
  return typename Primitive::primitive_desc(engine(), args..., hint, attributes());
}
#else
template <class Primitive, class... Args>
typename Primitive::primitive_desc build_with(const dnnl::primitive_attr& attributes,
                                              const Args&... args) {
  return
      typename Primitive::primitive_desc(typename Primitive::desc(args...), attributes, engine());
}
template <class Primitive, class Hint, class... Args>
typename Primitive::primitive_desc build_backward(const Hint& hint, const Args&... args) {
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), attributes(),
                                            engine(), hint);
}
#endif

template <class Primitive, class... Args>
typename Primitive::primitive_desc build(const Args&... args) {
  return build_with<Primitive>(attributes(), args...);
}

/// A residual is added to what the target holds.
dnnl::primitive_attr finishing(const cpu::FinishKind& finish) {
  dnnl::primitive_attr attr = attributes();
  dnnl::post_ops after;
  if (finish.residual) after.append_sum();
#if DNNL_VERSION_MAJOR >= 3
  if (finish.relu) after.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
#else
  if (finish.relu) after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
#endif
  attr.set_post_ops(after);
  return attr;
}

template <class PrimitiveDesc>
void note_scratch(size_t& bytes, const PrimitiveDesc& desc) {
  bytes = std::max(bytes, desc.scratchpad_desc().get_size());
}

Desc activation(const Extent& extent, int64_t batch, Type type) {
  return {{batch, extent.channels, extent.height, extent.width}, type, Tag::nhwc};
}

dnnl::prop_kind forward_kind(Needs needs) {
  return needs.any() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
}

/// An instruction set includes another if it has all of its bits.
bool has(dnnl::cpu_isa wanted) {
  const auto here = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (here & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
}

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  static dnnl::stream instance(engine());
  return instance;
}

Type type_of(Precision precision) { return precision == Precision::bf16 ? Type::bf16 : Type::f32; }

bool has_bf16() { return has(dnnl::cpu_isa::avx512_core_bf16); }

bool has_fast_bf16() {
#ifdef __x86_64__
  if (__builtin_cpu_is("amd")) return has_bf16();
#endif
  return has_bf16_matrices();
}

bool has_bf16_matrices() { return has(dnnl::cpu_isa::avx512_core_amx); }

std::string describe() {
  const auto* version = dnnl_version();
  const char* name = has_bf16()                        ? "AVX-512 with bf16"
                     : has(dnnl::cpu_isa::avx512_core) ? "AVX-512"
                     : has(dnnl::cpu_isa::avx2)        ? "AVX2"
                                                       : "no AVX2";
  return fmt::format("{}, oneDNN {}.{}.{}", name, version->major, version->minor, version->patch);
}

Layer convolution(const std::string& name, const Window& window, const Extent& in,
                  const Extent& out, int64_t batch, Precision precision, Needs needs,
                  const cpu::FinishKind& finish) {
  const Type type = type_of(precision);
  const memory::dims weight_dims = {out.channels, in.channels, window.kernel, window.kernel};
  const Desc weights(weight_dims, type, Tag::any);
  const auto [strides, kernel, padding] = geometry(window);
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  Layer layer;
  layer.source = activation(in, batch, type);
  layer.target = activation(out, batch, type);
  if (finish.bias) layer.bias = Desc({out.channels}, Type::f32, Tag::x);
  try {
    const auto forward = build_with<dnnl::convolution_forward>(
        finishing(finish), forward_kind(needs), algorithm, layer.source, weights, layer.bias,
        layer.target, strides, padding, padding);
    layer.forward = dnnl::convolution_forward(forward);
    layer.weights_forward = forward.weights_desc();
    note_scratch(layer.scratch_bytes, forward);
    if (needs.weights) {
      const Desc gradient(weight_dims, Type::f32, Tag::any);
      const auto backward_weights = build_backward<dnnl::convolution_backward_weights>(
          forward, algorithm, layer.source, gradient, layer.target, strides, padding, padding);
      layer.backward_weights = dnnl::convolution_backward_weights(backward_weights);
      layer.weights_gradient = backward_weights.diff_weights_desc();
      note_scratch(layer.scratch_bytes, backward_weights);
    }
    if (!needs.data) return layer;
    const auto backward_data = build_backward<dnnl::convolution_backward_data>(
        forward, algorithm, layer.source, weights, layer.target, strides, padding, padding);
    layer.backward_data = dnnl::convolution_backward_data(backward_data);
    layer.weights_backward = backward_data.weights_desc();
    note_scratch(layer.scratch_bytes, backward_data);
  } catch (const dnnl::error& error) {
    fail("layer '{}': oneDNN has no {}×{} convolution {}→{} here: {}", name, window.kernel,
         window.kernel, in.channels, out.channels, error.what());
  }
  return layer;
}

Layer inner_product(const Extent& in, int64_t out, int64_t batch, Precision precision, Needs needs,
                    InnerProductForm form) {
  const Type type = type_of(precision);
  const bool vector = in.positions() == 1;
  const memory::dims weight_dims =
      vector ? memory::dims{out, in.channels} : memory::dims{out, in.channels, in.height, in.width};
  const Desc weights(weight_dims, type, Tag::any);
  const Desc bias = form.bias ? Desc({out}, Type::f32, Tag::x) : Desc();  // empty: none
  Layer layer;
  layer.source = vector ? Desc({batch, in.channels}, type, Tag::nc) : activation(in, batch, type);
  layer.target = Desc({batch, out}, form.working ? type : Type::f32, Tag::nc);
  try {
    const auto forward = build<dnnl::inner_product_forward>(forward_kind(needs), layer.source,
                                                            weights, bias, layer.target);
    layer.forward = dnnl::inner_product_forward(forward);
    layer.weights_forward = forward.weights_desc();
    note_scratch(layer.scratch_bytes, forward);
    const Desc gradient_in({batch, out}, type, Tag::nc);
    if (needs.weights) {
      const Desc gradient(weight_dims, Type::f32, Tag::any);
      const auto backward_weights = build_backward<dnnl::inner_product_backward_weights>(
          forward, layer.source, gradient, bias, gradient_in);
      layer.backward_weights = dnnl::inner_product_backward_weights(backward_weights);
      layer.weights_gradient = backward_weights.diff_weights_desc();
      note_scratch(layer.scratch_bytes, backward_weights);
    }
    if (!needs.data) return layer;
    const auto backward_data = build_backward<dnnl::inner_product_backward_data>(
        forward, layer.source, weights, gradient_in);
    layer.backward_data = dnnl::inner_product_backward_data(backward_data);
    layer.weights_backward = backward_data.weights_desc();
    note_scratch(layer.scratch_bytes, backward_data);
  } catch (const dnnl::error& error) {
    fail("oneDNN has no linear layer {}→{} here: {}", in.elements(), out, error.what());
  }
  return layer;
}

Layer matrix_product(int64_t in, int64_t out, int64_t batch, Precision precision, Needs needs) {
  const Type type = type_of(precision);
  Layer layer;
  layer.source = Desc({batch, in}, type, Tag::nc);
  layer.target = Desc({batch, out}, type, Tag::nc);
  layer.weights_forward = layer.weights_backward = Desc({out, in}, type, Tag::oi);
  layer.weights_gradient = Desc({out, in}, Type::f32, Tag::oi);
  try {
    const auto forward = build<dnnl::inner_product_forward>(forward_kind(needs), layer.source,
                                                            layer.weights_forward, layer.target);
    layer.forward = dnnl::inner_product_forward(forward);
    note_scratch(layer.scratch_bytes, forward);
    if (needs.weights) {
      const auto backward_weights = build_backward<dnnl::inner_product_backward_weights>(
          forward, layer.source, layer.weights_gradient, layer.target);
      layer.backward_weights = dnnl::inner_product_backward_weights(backward_weights);
      note_scratch(layer.scratch_bytes, backward_weights);
    }
    if (!needs.data) return layer;
    const auto backward_data = build_backward<dnnl::inner_product_backward_data>(
        forward, layer.source, layer.weights_backward, layer.target);
    layer.backward_data = dnnl::inner_product_backward_data(backward_data);
    note_scratch(layer.scratch_bytes, backward_data);
  } catch (const dnnl::error& error) {
    fail("oneDNN has no matrix product {}→{} here: {}", in, out, error.what());
  }
  return layer;
}

namespace {

/// A row-major matrix.
Desc matrix(int64_t rows, int64_t columns, Type type) {
  return {{rows, columns}, type, memory::dims{columns, 1}};
}
/// The transposed of a row-major rows×columns matrix.
Desc transposed(int64_t rows, int64_t columns, Type type) {
  return {{columns, rows}, type, memory::dims{1, columns}};
}

/// oneDNN's own scratch: how much a product takes is known only when its rows are.
dnnl::matmul any_rows(const Desc& a, const Desc& b, const Desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul(dnnl::matmul::primitive_desc(engine(), a, b, c));
#else
  return dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine()));
#endif
}

}  // namespace

RowProducts::RowProducts(int64_t in, int64_t out, Precision precision, Needs needs)
    : in_(in), out_(out), type_(type_of(precision)) {
  constexpr int64_t any = DNNL_RUNTIME_DIM_VAL;
  const Desc x = matrix(any, in, type_), y = matrix(any, out, type_);
  forward_ = any_rows(x, transposed(out, in, type_), y);
  if (needs.data) backward_data_ = any_rows(y, matrix(out, in, type_), x);
  if (needs.weights) {
    backward_weights_ = any_rows(transposed(any, out, type_), x, matrix(out, in, Type::f32));
  }
}

void RowProducts::run(const dnnl::matmul& product, const Desc& a, const void* a_data, const Desc& b,
                      const void* b_data, const Desc& c, void* c_data) const {
  product.execute(stream(), {{DNNL_ARG_SRC, wrap(a, a_data)},
                             {DNNL_ARG_WEIGHTS, wrap(b, b_data)},
                             {DNNL_ARG_DST, wrap(c, c_data)}});
}

void RowProducts::forward(int64_t rows, const void* x, const void* weights, void* y) const {
  run(forward_, matrix(rows, in_, type_), x, transposed(out_, in_, type_), weights,
      matrix(rows, out_, type_), y);
}

void RowProducts::backward_data(int64_t rows, const void* dy, const void* weights, void* dx) const {
  run(backward_data_, matrix(rows, out_, type_), dy, matrix(out_, in_, type_), weights,
      matrix(rows, in_, type_), dx);
}

void RowProducts::backward_weights(int64_t rows, const void* x, const void* dy,
                                   float* gradient) const {
  run(backward_weights_, transposed(rows, out_, type_), dy, matrix(rows, in_, type_), x,
      matrix(out_, in_, Type::f32), gradient);
}

MaxPool max_pool(const Window& window, const Extent& in, const Extent& out, int64_t batch,
                 Precision precision, bool training) {
  const Type type = type_of(precision);
  const auto [strides, kernel, padding] = geometry(window);
  constexpr auto algorithm = dnnl::algorithm::pooling_max;
  const auto kind =
      training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  MaxPool pool;
  pool.source = activation(in, batch, type);
  pool.target = activation(out, batch, type);
  try {
#if DNNL_VERSION_MAJOR >= 3
    const memory::dims dilation = {0, 0};
    const auto forward = build<dnnl::pooling_forward>(kind, algorithm, pool.source, pool.target,
                                                      strides, kernel, dilation, padding, padding);
#else
    const auto forward = build<dnnl::pooling_forward>(kind, algorithm, pool.source, pool.target,
                                                      strides, kernel, padding, padding);
#endif
    pool.forward = dnnl::pooling_forward(forward);
    note_scratch(pool.scratch_bytes, forward);
    if (!training) return pool;
    pool.workspace = forward.workspace_desc();
#if DNNL_VERSION_MAJOR >= 3
    const auto backward = build_backward<dnnl::pooling_backward>(
        forward, algorithm, pool.source, pool.target, strides, kernel, dilation, padding, padding);
#else
    const auto backward = build_backward<dnnl::pooling_backward>(
        forward, algorithm, pool.source, pool.target, strides, kernel, padding, padding);
#endif
    pool.backward = dnnl::pooling_backward(backward);
    note_scratch(pool.scratch_bytes, backward);
  } catch (const dnnl::error& error) {
    fail("oneDNN has no such max pool here: {}", error.what());
  }
  return pool;
}

Reorder::Reorder(const Desc& from, const Desc& to)
    : from_(from), to_(to), primitive_(wrap(from, nullptr), wrap(to, nullptr)) {}

void Reorder::run(const void* from, void* to) const {
  primitive_.execute(stream(), {{DNNL_ARG_FROM, wrap(from_, from)}, {DNNL_ARG_TO, wrap(to_, to)}});
}

Desc plain_weight(const Shape& shape) {
  return {memory::dims(shape.begin(), shape.end()), Type::f32,
          shape.size() == 4 ? Tag::oihw : Tag::oi};
}

memory wrap(const Desc& desc, const void* data) {
  return {desc, engine(), data == nullptr ? DNNL_MEMORY_NONE : const_cast<void*>(data)};
}

Work bind(const dnnl::primitive& primitive, const std::vector<std::pair<int, memory>>& arguments,
          cpu::Scratch scratch) {
  std::unordered_map<int, memory> map(arguments.begin(), arguments.end());
  if (scratch.bytes > 0) {
    const Desc room({static_cast<memory::dim>(scratch.bytes)}, Type::u8, Tag::x);
    map.emplace(DNNL_ARG_SCRATCHPAD, wrap(room, scratch.data));
  }
  return [primitive, map = std::move(map)] { primitive.execute(stream(), map); };
}

}  // namespace hardmoe::onednn
