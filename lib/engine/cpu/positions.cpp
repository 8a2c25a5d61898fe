#include "engine/ops/positions.h"

#include <vector>

#include "engine/cpu/layer.h"
#include "engine/cpu/rows.h"

namespace hardmoe::cpu {
namespace {

/// The table of all tokens is one row of an image.
class PositionsLayer final : public Layer {
 public:
  PositionsLayer(const Positions& op, LayerBuilder& builder)
      : images_(builder.batch()),
        elements_(builder.rows() / images_ * builder.output().extent.channels) {
    if (op.sincos) {
      fixed_ = sincos_table(op, builder.output().extent.channels);
    } else {
      table_ = builder.parameter("");
    }
  }

  Work work(const Step& step, const Arrays& arrays) override {
    if (step.pass == Pass::forward) {
      const float* table = table_ < 0 ? fixed_.data() : arrays.weights(table_);
      return [this, x = arrays.activations(step.x[0]), y = arrays.activations(step.y), table] {
        add_row(x, table, images_, elements_, y);
      };
    }
    return [this, dy = arrays.activations(step.dy), gradient = arrays.gradient(table_)] {
      sum_rows(dy, images_, elements_, elements_, gradient);
    };
  }

 private:
  int64_t images_, elements_;
  int table_ = -1;            ///< number of the parameter; -1: none
  std::vector<float> fixed_;  ///< the table, where it is not learned
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Positions& op, LayerBuilder& builder) {
  return std::make_unique<PositionsLayer>(op, builder);
}

}  // namespace hardmoe::cpu
