// What the operators of this folder have in common. Each is a plain struct, FOLDER/<op>.h, with
//
//   static constexpr const char* type          as nn/network.h names it
//   static constexpr bool keeps_channels       its output has its first input's channels
//   static OP from(Attributes&)                takes its attributes
//   ValueType output(name, inputs) const       the type of its output; throws if inputs do not fit
//   parameters(name, inputs) const             its parameters and their first values
//   double flops(inputs) const                 of one image's forward pass
//   plan_forward(NodePlan&) const              the steps, their buffers and how long those live
//   plan_backward(NodePlan&) const             the same for the gradients
//
// and the two functions that make its work, defined in engine/cpu/<op>.cpp and
// engine/cuda/<op>.{cpp,cu}. docs/adding-an-operator.md goes through one.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/value_type.h"
#include "tensor/tensor.h"

namespace hardmoe {

class NodePlan;

namespace cpu {
class Layer;
class LayerBuilder;
}  // namespace cpu
namespace cuda {
class Layer;
class LayerBuilder;
}  // namespace cuda

/// Types of a node's inputs, in order.
using InputTypes = std::span<const ValueType>;

/// The first values of a parameter.
struct InitialValues {
  enum class Kind {
    constant,  ///< `value` everywhere
    normal,    ///< mean 0, standard deviation `value`
    uniform,   ///< between −`value` and `value`
  };
  Kind kind = Kind::constant;
  float value = 0;
};

struct ParameterSpec {
  std::string name;  ///< "layer1.0.conv1.weight"
  Shape shape;       ///< PyTorch's: O×I×K×K, O×I, C
  InitialValues initial;
  /// Learned by the optimiser; running statistics are not.
  bool learned = true;
};

/// The attributes of one operator, each taken once.
class Attributes {
 public:
  explicit Attributes(const Op& op) : op_(op) {}
  /// Throw Error naming the operator for an attribute that is missing or no whole number.
  int integer(const std::string& name);
  int64_t size(const std::string& name);
  double number(const std::string& name, double fallback);
  /// Throws Error for an attribute that nobody took.
  void require_all_taken() const;

 private:
  double take(const std::string& name);
  const Op& op_;
  std::set<std::string> taken_;
};

/// The square window of a convolution or a pooling.
struct Window {
  int kernel = 1;
  int stride = 1;
  int padding = 0;  ///< on each side

  static Window from(Attributes& attributes);
  /// Height and width it leaves of `in`, with `channels`. Throws Error(usage) naming the operator
  /// if the window does not fit.
  Extent output(const std::string& name, const Extent& in, int64_t channels) const;
};

}  // namespace hardmoe
