// A network as plain data: a list of operators by type, name and attributes, as an ONNX graph is
// one. Builders make it (nn/resnet.h); the engine knows what each type computes, checks shapes
// (engine/network_facts.h) and compiles it (engine/engine.h). Knows no device, holds no weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hardmoe {

/// Height × width × channels of one row of a value (NHWC); a vector is 1×1×C.
struct Extent {
  int64_t height = 1;
  int64_t width = 1;
  int64_t channels = 1;
  int64_t positions() const { return height * width; }
  int64_t elements() const { return height * width * channels; }
  bool operator==(const Extent&) const = default;
};

/// One operator. Values are numbered: value 0 is the input, value i+1 the output of operator i.
struct Op {
  std::string type;  ///< "conv", "batch_norm", …: those of engine/ops/
  std::string name;  ///< prefix of its parameters, as torchvision names them; "" if it has none
  std::vector<int> inputs;
  std::map<std::string, double> attributes;  ///< {"kernel", 3}; each type's are in engine/ops/
};

enum class InputKind {
  image,    ///< uint8 H×W×3, normalised by the engine with the network's mean and deviation
  feature,  ///< float32 D
};

struct Network {
  InputKind input = InputKind::image;
  Extent extent;  ///< of the input: H×W×3 of an image, 1×1×D of a feature
  float mean[3] = {123.675F, 116.28F, 103.53F};  ///< of each channel, on the scale 0 … 255
  float deviation[3] = {58.395F, 57.12F, 57.375F};
  double crop_share = 1;  ///< evaluation's view of an image: center_region() of image/augment.h
  std::vector<Op> ops;
  int feature = 0;  ///< the value that is the embedding (N×D)
  int logits = -1;  ///< the value that holds a score a tag (N×V); -1: a trunk only

  /// Appends an operator and returns its output's number.
  int append(Op op) {
    ops.push_back(std::move(op));
    return static_cast<int>(ops.size());
  }
  int value_count() const { return static_cast<int>(ops.size()) + 1; }
};

}  // namespace hardmoe
