// What the operators of this folder have in common. Each is a plain struct in a file <op>.h, with
//
//   static constexpr const char* type          the name that networks use (Op::type)
//   static constexpr size_t reads              how many values it reads
//   static constexpr bool keeps_channels       whether the output has the first input's channels
//   static constexpr bool multiplies_inputs    only where both factors of its products are inputs
//   static OP from(Attributes&)                makes it from an operator's attributes
//   ValueType output(name, inputs) const       returns the output's type; throws Error naming the
//                                              operator if the inputs do not fit
//   parameters(name, inputs) const             returns its parameters and their initial values
//   double flops(inputs) const                 returns those of one image's forward pass, with a
//                                              multiply-add as two; only products are counted
//   plan_forward(NodePlan&) const              adds its steps to the plan
//   plan_backward(NodePlan&) const             adds the steps for gradients; called only if the
//                                              output has a gradient and depends on a trained
//                                              parameter, the operator's own or an earlier one
//
// and two functions make_layer(), one for each engine, that make the work of its steps. They are
// defined in engine/cpu/<op>.cpp and engine/cuda/<op>.{cpp,cu}. docs/adding-an-operator.md goes
// through one operator.
#pragma once

#include <memory>
#include <optional>
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

/// The types of an operator's inputs, in order.
using InputTypes = std::span<const ValueType>;

/// The initial values of a parameter.
struct InitialValues {
  enum class Kind {
    constant,  ///< `value` everywhere
    normal,    ///< mean 0, standard deviation `value`
    uniform,   ///< between −`value` and `value`
  };
  Kind kind = Kind::constant;
  float value = 0;
};

/// A parameter or running statistic.
struct ParameterSpec {
  std::string name;  ///< "layer1.0.conv1.weight"
  Shape shape;       ///< as in PyTorch: O×I×K×K, O×I or C
  InitialValues initial;
  /// Whether the optimiser learns it (unless frozen); false for running statistics.
  bool learned = true;
  /// The name of an earlier parameter of the same shape with whose values it begins; empty: it has
  /// its own.
  std::string begins_as = {};
};

/// Reads the attributes of one operator.
class Attributes {
 public:
  /// `op` must outlive this.
  explicit Attributes(const Op& op) : op_(op) {}
  /// Returns an attribute. Throws Error naming the operator if it is missing or not a whole number.
  int integer(const std::string& name);
  /// The same as int64_t.
  int64_t size(const std::string& name);
  /// Returns an attribute that may be any number. Throws Error naming the operator if it is missing.
  double real(const std::string& name) { return take(name); }
  /// Returns an attribute, or `fallback` if it is missing.
  double number(const std::string& name, double fallback);
  /// Returns an attribute, or nothing if it is missing.
  std::optional<float> optional(const std::string& name);
  /// Throws Error naming the operator if it has an attribute that was not read.
  void require_all_taken() const;

 private:
  double take(const std::string& name);
  const Op& op_;
  std::set<std::string> taken_;
};

/// The square window of a convolution or a pooling.
struct Window {
  int kernel = 1;  ///< height and width, in pixels
  int stride = 1;
  int padding = 0;  ///< pixels on each side

  /// Reads the attributes kernel, stride and padding, which must all be there.
  static Window from(Attributes& attributes);
  /// Returns the extent of the output for input `in`, with `channels`: height and width are
  /// ⌊(in + 2·padding − kernel)/stride⌋ + 1. Throws Error(usage) naming the operator if the window
  /// is larger than the padded input.
  Extent output(const std::string& name, const Extent& in, int64_t channels) const;
};

}  // namespace hardmoe
