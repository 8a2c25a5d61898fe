#include "base/error.h"
#include "engine/cuda_engine.h"

namespace hardmoe {

std::unique_ptr<Engine> make_cuda_engine(int device) {
  fail_usage("--device cuda:{}: this build has no GPU engine; use --device cpu", device);
}

}  // namespace hardmoe
