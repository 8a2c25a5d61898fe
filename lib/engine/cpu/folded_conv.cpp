#include "engine/cpu/folded_conv.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/threads.h"
#include "engine/cpu/convolution.h"
#include "engine/cpu/norm_state.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {
namespace {

/// Returns the rows that are computed at a time: all, or where a pooling follows few enough that the
/// map before it stays in the caches. They divide the batch.
int64_t rows_at_a_time(int64_t rows, bool pools) {
  int64_t few = std::min<int64_t>(rows, pools ? 4 : rows);
  while (rows % few != 0) --few;
  return few;
}

class FoldedConvLayer final : public Layer {
 public:
  FoldedConvLayer(const Conv& op, LayerBuilder& builder)
      : relu_(op.norm->relu),
        in_(builder.input().extent),
        out_(builder.output().extent),
        map_(op.window.output(builder.name(), in_, op.channels)),
        rows_(builder.rows()),
        rows_at_a_time_(rows_at_a_time(rows_, op.norm->pool.has_value())),
        precision_(builder.precision()),
        convolution_(
            make_convolution({builder.name(),
                              op.window,
                              in_,
                              map_,
                              rows_at_a_time_,
                              precision_,
                              {},
                              {.bias = true, .residual = builder.inputs() > 1, .relu = relu_}})),
        plain_(onednn::plain_weight(
            {map_.channels, in_.channels, op.window.kernel, op.window.kernel})),
        to_layout_(plain_, convolution_->layout()),
        weight_(builder.parameter(".weight", &plain_)),
        gamma_(builder.parameter_named(op.norm->name + ".weight")),
        beta_(builder.parameter_named(op.norm->name + ".bias")),
        mean_(builder.parameter_named(op.norm->name + ".running_mean")),
        variance_(builder.parameter_named(op.norm->name + ".running_var")),
        state_(map_.channels),
        scaled_(DType::u8, {static_cast<int64_t>(convolution_->layout().get_size())}),
        copies_(DType::u8, {static_cast<int64_t>(convolution_->copy_bytes())}) {
    if (op.norm->pool) {
      pool_ = onednn::max_pool(*op.norm->pool, map_, out_, rows_at_a_time_, precision_,
                               /*training=*/false);
    }
    builder.need_scratch(map_bytes() +
                         std::max(convolution_->scratch_bytes(), pool_ ? pool_->scratch_bytes : 0));
  }

  size_t copy_bytes() const override { return scaled_.bytes() + copies_.bytes(); }

  void place(const Arrays& arrays) override {
    weights_ = arrays.weights(weight_);
    norm_ = {arrays.weights(gamma_), arrays.weights(beta_), arrays.weights(mean_),
             arrays.weights(variance_)};
    convolution_->place(reinterpret_cast<const float*>(scaled_.data()), copies_.data());
  }

  /// Folds the scale into the weights.
  void refresh() override {
    std::vector<double> unused;
    state_.find({}, 0, norm_, /*batch_statistics=*/false, unused);
    const auto length = static_cast<int64_t>(plain_.get_size() / sizeof(float)) / map_.channels;
    Tensor scaled(DType::f32, {map_.channels, length});
    float* to = scaled.as<float>().data();
    parallel_for(map_.channels, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * length; i < end * length; ++i) {
        to[i] = weights_[i] * state_.scale()[i / length];
      }
    });
    to_layout_.run(to, scaled_.data());
    convolution_->refresh();
  }

  Work work(const Step& step, const Arrays& arrays) override {
    if (pool_) return pooled(arrays.at(step.x[0]), arrays.at(step.y), arrays.scratch());
    const void* residual = step.x.size() > 1 ? arrays.at(step.x[1]) : nullptr;
    return convolution_->forward(arrays.at(step.x[0]), arrays.at(step.y), arrays.scratch(),
                                 {state_.shift(), residual, relu_});
  }

 private:
  size_t element() const { return precision_ == Precision::bf16 ? 2 : 4; }
  /// Of the map before the pooling.
  size_t map_bytes() const {
    if (!pool_) return 0;
    return whole_lines(static_cast<size_t>(rows_at_a_time_ * map_.elements()) * element());
  }

  Work pooled(const std::byte* x, std::byte* y, Scratch scratch) const {
    void* map = scratch.data;
    const Scratch rest = scratch.after(map_bytes());
    std::vector<Work> works;
    for (int64_t row = 0; row < rows_; row += rows_at_a_time_) {
      const auto from = static_cast<size_t>(row * in_.elements()) * element();
      const auto to = static_cast<size_t>(row * out_.elements()) * element();
      works.push_back(convolution_->forward(x + from, map, rest, {state_.shift(), nullptr, relu_}));
      works.push_back(onednn::bind(pool_->forward,
                                   {{DNNL_ARG_SRC, onednn::wrap(pool_->source, map)},
                                    {DNNL_ARG_DST, onednn::wrap(pool_->target, y + to)}},
                                   rest));
    }
    return [works = std::move(works)] {
      for (const Work& work : works) work();
    };
  }

  bool relu_;
  Extent in_, out_, map_;  ///< of a row: map_ is what the convolution makes
  int64_t rows_, rows_at_a_time_;
  Precision precision_;
  std::unique_ptr<Convolution> convolution_;
  onednn::Desc plain_;
  onednn::Reorder to_layout_;
  int weight_, gamma_, beta_, mean_, variance_;
  NormState state_;
  std::optional<onednn::MaxPool> pool_;
  const float* weights_ = nullptr;
  NormParameters norm_ = {};
  Tensor scaled_, copies_;
};

}  // namespace

std::unique_ptr<Layer> make_folded_conv(const Conv& op, LayerBuilder& builder) {
  return std::make_unique<FoldedConvLayer>(op, builder);
}

}  // namespace hardmoe::cpu
