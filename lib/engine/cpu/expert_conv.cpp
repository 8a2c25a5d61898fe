#include "engine/ops/expert_conv.h"

#include <map>
#include <vector>

#include "engine/cpu/convolution.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/routing.h"
#include "engine/ops/experts.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {
namespace {

/// One layer's convolution for any number of rows, for the weights of one expert after another. A
/// number of rows that was not seen before costs the making of its primitives.
class AnyRows {
 public:
  AnyRows(ConvolutionSpec spec, int64_t typical_rows)
      : spec_(std::move(spec)), layout_(of(typical_rows).convolution->layout()) {}

  const onednn::Desc& layout() const { return layout_; }
  /// Returns what its temporaries and copies of weights take by now.
  size_t bytes() const { return scratch_.bytes() + copies_.bytes() + own_layout_.bytes(); }

  void forward(int64_t rows, const float* weights, const void* x, void* y) {
    use(rows, weights).forward(x, y, scratch(), {})();
  }
  void backward_data(int64_t rows, const float* weights, const void* dy, void* dx) {
    use(rows, weights).backward_data(dy, dx, scratch())();
  }
  void backward_weights(int64_t rows, const void* x, const void* dy, float* gradient) {
    const Entry& entry = of(rows);
    if (!entry.from_own) {
      entry.convolution->backward_weights(x, dy, gradient, scratch())();
      return;
    }
    float* own = own_layout_.as<float>().data();
    entry.convolution->backward_weights(x, dy, own, scratch())();
    entry.from_own->run(own, gradient);
  }

 private:
  struct Entry {
    std::unique_ptr<Convolution> convolution;
    /// Where oneDNN wants other weights for so many rows than layout_: to and from its own.
    std::unique_ptr<onednn::Reorder> to_own, from_own;
  };

  Entry& of(int64_t rows) {
    Entry& entry = entries_[rows];
    if (entry.convolution) return entry;
    ConvolutionSpec spec = spec_;
    spec.batch = rows;
    entry.convolution = make_convolution(spec);
    const Convolution& made = *entry.convolution;
    if (entries_.size() > 1 && made.layout() != layout_) {
      entry.to_own = std::make_unique<onednn::Reorder>(layout_, made.layout());
      entry.from_own = std::make_unique<onednn::Reorder>(made.layout(), layout_);
      grow(own_layout_, made.layout().get_size());
    }
    grow(scratch_, made.scratch_bytes());
    grow(copies_, made.copy_bytes());
    return entry;
  }

  Convolution& use(int64_t rows, const float* weights) {
    Entry& entry = of(rows);
    if (entry.to_own) {
      entry.to_own->run(weights, own_layout_.data());
      weights = own_layout_.as<float>().data();
    }
    entry.convolution->place(weights, copies_.data());
    entry.convolution->refresh();
    return *entry.convolution;
  }

  Scratch scratch() { return {scratch_.data(), scratch_.bytes()}; }

  static void grow(Tensor& room, size_t bytes) {
    if (room.bytes() >= bytes) return;
    room = Tensor(DType::f32, {static_cast<int64_t>((bytes + 3) / 4)});
  }

  ConvolutionSpec spec_;
  std::map<int64_t, Entry> entries_;  ///< by rows
  Tensor scratch_{DType::f32, {0}}, copies_{DType::f32, {0}}, own_layout_{DType::f32, {0}};
  onednn::Desc layout_;
};

class ExpertConvLayer final : public Layer {
 public:
  ExpertConvLayer(const ExpertConv& op, LayerBuilder& builder)
      : layout_{builder.input(1).planned_rows(builder.batch()), op.experts,
                chosen_of(builder.input(1), op.experts)},
        in_(builder.input().extent.elements()),
        out_(builder.output().extent.elements()),
        convolution_({builder.name(), op.window, builder.input().extent, builder.output().extent, 0,
                      builder.precision(), builder.needs()},
                     std::max<int64_t>(layout_.routed_rows() / op.experts, 1)) {
    for (int64_t e = 0; e < op.experts; ++e) {
      weights_.push_back(
          builder.parameter((expert_name("", e) + ".weight").c_str(), &convolution_.layout()));
    }
  }

  size_t copy_bytes() const override { return convolution_.bytes(); }

  Work work(const Step& step, const Arrays& arrays) override {
    switch (step.pass) {
      case Pass::forward:
        return forward(step, arrays);
      case Pass::backward_weights:
        return backward_weights(step, arrays);
      default:
        return backward_data(step, arrays);
    }
  }

 private:
  Routing routing(BufferId buffer, const Arrays& arrays) const {
    return {reinterpret_cast<const int32_t*>(arrays.at(buffer)), layout_};
  }

  Work forward(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), y = arrays.activations(step.y);
    return [this, x, y, routed = routing(step.x[1], arrays), &arrays] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        if (routed.rows(e) == 0) continue;
        convolution_.forward(routed.rows(e), weights_of(e, arrays),
                             from_element(x, routed.first(e) * in_).data,
                             from_element(y, routed.first(e) * out_).data);
      }
      clear_unused(y, layout_, routed, out_);
    };
  }

  Work backward_weights(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), dy = arrays.activations(step.dy);
    return [this, x, dy, routed = routing(step.x[1], arrays), &arrays] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        float* gradient = arrays.gradient(weights_[static_cast<size_t>(e)]);
        if (routed.rows(e) == 0) {
          std::memset(gradient, 0, convolution_.layout().get_size());
          continue;
        }
        convolution_.backward_weights(routed.rows(e), from_element(x, routed.first(e) * in_).data,
                                      from_element(dy, routed.first(e) * out_).data, gradient);
      }
    };
  }

  Work backward_data(const Step& step, const Arrays& arrays) {
    const Activations dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0]);
    return [this, dy, dx, routed = routing(step.x[0], arrays), &arrays] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        if (routed.rows(e) == 0) continue;
        convolution_.backward_data(routed.rows(e), weights_of(e, arrays),
                                   from_element(dy, routed.first(e) * out_).data,
                                   from_element(dx, routed.first(e) * in_).data);
      }
      clear_unused(dx, layout_, routed, in_);
    };
  }

  const float* weights_of(int64_t expert, const Arrays& arrays) const {
    return arrays.weights(weights_[static_cast<size_t>(expert)]);
  }

  RoutingLayout layout_;
  int64_t in_, out_;  ///< elements of a row
  AnyRows convolution_;
  std::vector<int> weights_;  ///< by expert
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ExpertConv& op, LayerBuilder& builder) {
  return std::make_unique<ExpertConvLayer>(op, builder);
}

}  // namespace hardmoe::cpu
