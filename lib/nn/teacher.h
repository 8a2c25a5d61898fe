// A network that learns from another one: both read the same images, the teacher as a second branch
// whose scores a loss compares with (LossSpec::teacher in engine/spec.h).
#pragma once

#include <string>

#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// A network with its teacher beside it.
struct TaughtNetwork {
  Network
      network;  ///< the student's, then the teacher's operators; feature and logits: the student's
  int teacher = -1;  ///< number of the value that holds the teacher's logits
};

/// The pattern that the names of the teacher's parameters match, "teacher." and their own: to be
/// frozen (CompileOptions::frozen).
inline constexpr const char* teacher_parameters = "teacher.*";

/// Returns both networks as one. Throws Error if they do not read the same input or differ in how
/// images are normalised.
TaughtNetwork with_teacher(Network student, const Network& teacher);

/// Returns the weights of both.
StateDict with_teacher(StateDict student, const StateDict& teacher);

/// Returns the student's weights alone.
StateDict without_teacher(const StateDict& weights);

}  // namespace hardmoe
