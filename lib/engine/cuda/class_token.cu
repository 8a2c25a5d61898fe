#include "engine/ops/class_token.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

constexpr int width = element_width;  // channels are held in multiples of it

struct ClassTokenArgs {
  int64_t images;
  int64_t elements;  ///< of an image's tokens before
  int64_t channels;  ///< as held
};

template <class T>
__global__ void __launch_bounds__(element_threads)
    prepend_kernel(ClassTokenArgs args, const T* __restrict__ x, const float* __restrict__ token,
                   T* __restrict__ y) {
  const int64_t after = args.elements + args.channels;
  const int64_t step = int64_t{gridDim.x} * element_threads * width;
  for (int64_t i = (int64_t{blockIdx.x} * element_threads + threadIdx.x) * width;
       i < args.images * after; i += step) {
    const int64_t image = i / after, place = i % after - args.channels;
    float v[width];
    if (place < 0) {
      load(token + place + args.channels, v);
    } else {
      load(x + image * args.elements + place, v);
    }
    store(y + i, v);
  }
}

/// The gradient of all tokens but the first.
template <class T>
__global__ void __launch_bounds__(element_threads)
    rest_kernel(ClassTokenArgs args, const T* __restrict__ dy, T* __restrict__ dx) {
  const int64_t step = int64_t{gridDim.x} * element_threads * width;
  for (int64_t i = (int64_t{blockIdx.x} * element_threads + threadIdx.x) * width;
       i < args.images * args.elements; i += step) {
    float v[width];
    load(dy + i + (i / args.elements + 1) * args.channels, v);
    store(dx + i, v);
  }
}

/// The gradient of the token: the sum over images, in order.
template <class T>
__global__ void __launch_bounds__(element_threads)
    token_kernel(ClassTokenArgs args, const T* __restrict__ dy, float* __restrict__ gradient) {
  const int64_t c = int64_t{blockIdx.x} * element_threads + threadIdx.x;
  if (c >= args.channels) return;
  double sum = 0;
  for (int64_t image = 0; image < args.images; ++image) {
    float v[1];
    load(dy + image * (args.elements + args.channels) + c, v);
    sum += static_cast<double>(v[0]);
  }
  gradient[c] = static_cast<float>(sum);
}

class ClassTokenLayer final : public Layer {
 public:
  explicit ClassTokenLayer(LayerBuilder& builder) {
    args_.images = builder.options().batch;
    args_.channels = builder.held(builder.output_value());
    args_.elements = builder.rows() / args_.images * args_.channels;
    token_ = builder.parameter("", 1, args_.channels);
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [args = args_, stream, x = arrays.activations(step.x[0]),
              y = arrays.activations(step.y), token = arrays.weights(token_)] {
        with_type(y, [&]<class T>(T* to) {
          launch("class token", prepend_kernel<T>,
                 element_grid(args.images * (args.elements + args.channels)), element_threads, 0,
                 stream, args, static_cast<const T*>(x.data), token, to);
        });
      };
    }
    return [args = args_, stream, dy = arrays.activations(step.dy),
            dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]),
            gradient = arrays.gradient(token_)] {
      with_type(dy, [&]<class T>(T* slope) {
        launch("class token sum", token_kernel<T>, divide_up(args.channels, element_threads),
               element_threads, 0, stream, args, slope, gradient);
        if (!dx) return;
        launch("class token backward", rest_kernel<T>, element_grid(args.images * args.elements),
               element_threads, 0, stream, args, slope, static_cast<T*>(dx.data));
      });
    };
  }

 private:
  ClassTokenArgs args_ = {};
  int token_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ClassToken&, LayerBuilder& builder) {
  return std::make_unique<ClassTokenLayer>(builder);
}

}  // namespace hardmoe::cuda
