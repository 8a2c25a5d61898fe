// A network as plain data: a list of operators with their shapes. Builders make it (nn/resnet.h),
// engines compile it (engine/engine.h). Knows no device and holds no weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/safetensors.h"

namespace hardmoe {

enum class OpKind { conv, batch_norm, relu, add, max_pool, global_avg_pool, linear };

/// Height × width × channels of one image's activation; a feature vector is 1×1×C.
struct Extent {
  int64_t height = 1;
  int64_t width = 1;
  int64_t channels = 1;
  int64_t elements() const { return height * width * channels; }
  bool operator==(const Extent&) const = default;
};

/// One operator. Values are numbered: value 0 is the input, value i+1 the output of operator i.
struct Op {
  OpKind kind;
  std::string name;  ///< prefix of its parameters, as torchvision names them; "" if it has none
  std::vector<int> inputs;
  int kernel = 1;  ///< conv, max_pool: square window
  int stride = 1;
  int padding = 0;
};

enum class InputKind {
  image,    ///< uint8 H×W×3, normalised by the engine with the network's mean and deviation
  feature,  ///< float32 D
};

struct Network {
  InputKind input = InputKind::image;
  float mean[3] = {123.675F, 116.28F, 103.53F};  ///< of each channel, on the scale 0 … 255
  float deviation[3] = {58.395F, 57.12F, 57.375F};
  double crop_share = 1;  ///< evaluation's view of an image: center_region() of image/augment.h
  std::vector<Op> ops;
  std::vector<Extent> values;  ///< extent of every value; values.size() == ops.size() + 1
  int feature = 0;             ///< the value that is the embedding (N×D)
  int logits = -1;             ///< the value that holds a score a tag (N×V); -1: a trunk only

  /// Appends an operator, computes its output's extent, and returns the output's number. Throws
  /// Error if the inputs do not fit it.
  int append(Op op, int64_t channels = 0);

  int64_t feature_size() const { return values.at(static_cast<size_t>(feature)).elements(); }
  int64_t logits_size() const;
};

inline constexpr float batch_norm_epsilon = 1e-5F;
inline constexpr float batch_norm_momentum =
    0.1F;  ///< running = 0.9 running + 0.1 batch, as PyTorch

enum class ParameterKind {
  conv_weight,
  linear_weight,
  bias,
  norm_weight,
  norm_bias,
  running_mean,
  running_var
};

struct ParameterSpec {
  std::string name;  ///< "layer1.0.conv1.weight"
  Shape shape;       ///< PyTorch's: O×I×K×K, O×I, C
  ParameterKind kind;
  /// Learned by the optimiser; running statistics are not.
  bool learned() const {
    return kind != ParameterKind::running_mean && kind != ParameterKind::running_var;
  }
};

/// Every tensor the network needs, in the order of its operators.
std::vector<ParameterSpec> parameters_of(const Network& network);

/// Number of learned scalars.
int64_t parameter_count(const Network& network);

/// Floating-point operations of one image's forward pass, a multiply-add counted as two;
/// convolutions and linear layers only.
double flops_per_image(const Network& network);

/// Fresh weights: He normal (fan out) for convolutions, as torchvision; uniform ±1/√fan_in for
/// linear layers and their biases, as torch.nn.Linear; 1 and 0 for norms.
StateDict initial_weights(const Network& network, uint64_t seed);

}  // namespace hardmoe
