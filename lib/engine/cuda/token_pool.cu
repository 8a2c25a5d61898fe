#include "engine/ops/token_pool.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct FirstTokenArgs {
  int64_t images, tokens;
  int64_t channels;  ///< as held
};

template <class T>
__global__ void __launch_bounds__(element_threads)
    take_first_kernel(FirstTokenArgs args, const T* __restrict__ x, float* __restrict__ y) {
  const int64_t step = int64_t{gridDim.x} * element_threads;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x;
       i < args.images * args.channels; i += step) {
    const int64_t image = i / args.channels;
    float v[1];
    load(x + image * args.tokens * args.channels + i % args.channels, v);
    y[i] = v[0];
  }
}

/// The other tokens get none.
template <class T>
__global__ void __launch_bounds__(element_threads)
    give_first_kernel(FirstTokenArgs args, const T* __restrict__ dy, T* __restrict__ dx) {
  const int64_t elements = args.tokens * args.channels;
  const int64_t step = int64_t{gridDim.x} * element_threads;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x; i < args.images * elements;
       i += step) {
    const int64_t image = i / elements, place = i % elements;
    float v[1] = {};
    if (place < args.channels) load(dy + image * args.channels + place, v);
    store(dx + i, v);
  }
}

class TokenPoolLayer final : public Layer {
 public:
  TokenPoolLayer(const TokenPool& op, LayerBuilder& builder) : first_(op.first) {
    args_.images = builder.options().batch;
    args_.tokens = builder.rows() / args_.images;
    args_.channels = builder.held(builder.output_value());
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [args = args_, first = first_, stream, x = arrays.activations(step.x[0]),
              y = arrays.floats(step.y)] {
        if (first) {
          take_first(args, x, y, stream);
        } else {
          average_pool(x, args.images, args.tokens, args.channels, y, stream);
        }
      };
    }
    return [args = args_, first = first_, stream, dy = arrays.activations(step.dy),
            dx = arrays.activations(step.dx[0])] {
      if (first) {
        give_first(args, dy, dx, stream);
      } else {
        average_pool_backward(dy, args.images, args.tokens, args.channels, dx, stream);
      }
    };
  }

 private:
  static void take_first(const FirstTokenArgs& args, Activations x, float* y, Stream stream) {
    with_type(x, [&]<class T>(T* from) {
      launch("first token", take_first_kernel<T>, element_grid(args.images * args.channels),
             element_threads, 0, stream, args, from, y);
    });
  }
  static void give_first(const FirstTokenArgs& args, Activations dy, Activations dx,
                         Stream stream) {
    with_type(dy, [&]<class T>(T* slope) {
      launch("first token backward", give_first_kernel<T>,
             element_grid(args.images * args.tokens * args.channels), element_threads, 0, stream,
             args, slope, static_cast<T*>(dx.data));
    });
  }

  bool first_;
  FirstTokenArgs args_ = {};
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TokenPool& op, LayerBuilder& builder) {
  return std::make_unique<TokenPoolLayer>(op, builder);
}

}  // namespace hardmoe::cuda
