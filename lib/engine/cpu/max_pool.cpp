#include "engine/ops/max_pool.h"

#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class MaxPoolLayer final : public Layer {
 public:
  MaxPoolLayer(const MaxPool& op, LayerBuilder& builder)
      : pool_(onednn::max_pool(op.window, builder.input().extent, builder.output().extent,
                               builder.rows(), builder.precision(), builder.training())) {
    builder.need_scratch(pool_.scratch_bytes);
  }

  int64_t saved_bytes() const override { return static_cast<int64_t>(pool_.workspace.get_size()); }
  Work work(const Step& step, const Arrays& arrays) override {
    const auto at = [&](const onednn::Desc& desc, BufferId buffer) {
      return onednn::wrap(desc, arrays.at(buffer));
    };
    if (step.pass == Pass::forward) {
      std::vector<std::pair<int, dnnl::memory>> arguments = {
          {DNNL_ARG_SRC, at(pool_.source, step.x[0])}, {DNNL_ARG_DST, at(pool_.target, step.y)}};
      if (step.saved >= 0) {
        arguments.emplace_back(DNNL_ARG_WORKSPACE, at(pool_.workspace, step.saved));
      }
      return onednn::bind(pool_.forward, arguments, arrays.scratch());
    }
    return onednn::bind(pool_.backward,
                        {{DNNL_ARG_DIFF_DST, at(pool_.target, step.dy)},
                         {DNNL_ARG_WORKSPACE, at(pool_.workspace, step.saved)},
                         {DNNL_ARG_DIFF_SRC, at(pool_.source, step.dx[0])}},
                        arrays.scratch());
  }

 private:
  onednn::MaxPool pool_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const MaxPool& op, LayerBuilder& builder) {
  return std::make_unique<MaxPoolLayer>(op, builder);
}

}  // namespace hardmoe::cpu
