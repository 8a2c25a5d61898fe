// A network as plain data: a list of operators with types, names and attributes, like an ONNX
// graph. Builders make it (nn/resnet.h); the engine knows what each type computes (engine/ops/),
// checks shapes (engine/network_facts.h) and compiles it (engine/engine.h). Holds no weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hardmoe {

/// The shape of one row of a value: height × width × channels; a vector is 1×1×C.
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
  std::string type;  ///< "conv", "batch_norm", …: one of engine/ops/
  std::string name;  ///< prefix of its parameters, as torchvision names them; may be "" without any
  std::vector<int> inputs;                   ///< numbers of values
  std::map<std::string, double> attributes;  ///< {"kernel", 3}; engine/ops/ says which a type has
};

enum class InputKind {
  image,    ///< uint8 H×W×3 (RGB); the engine subtracts `mean` and divides by `deviation`
  feature,  ///< float32, D values
  map,  ///< float32, H×W×C, as a network that was cut in two gives it; working precision inside
};

struct Network {
  InputKind input = InputKind::image;
  Extent extent;  ///< of the input: H×W×3 of an image, 1×1×D of a feature, H×W×C of a map
  float mean[3] = {123.675F, 116.28F, 103.53F};  ///< of red, green, blue, on the scale 0 … 255
  float deviation[3] = {58.395F, 57.12F, 57.375F};
  double crop_share = 1;  ///< for evaluation's view of an image: see center_region()
  std::vector<Op> ops;
  int feature = 0;  ///< number of the value that is the feature, N×D (or a map, N×H×W×C); 0: the
                    ///< input itself
  int logits = -1;  ///< number of the value that holds the logits, N×V; -1: only a trunk

  /// Appends an operator and returns the number of its output.
  int append(Op op) {
    ops.push_back(std::move(op));
    return static_cast<int>(ops.size());
  }
  int value_count() const { return static_cast<int>(ops.size()) + 1; }
};

}  // namespace hardmoe
