// One GPU as an Engine.
#include "base/error.h"
#include "engine/cuda/program.h"
#include "engine/cuda_engine.h"

namespace hardmoe {
namespace cuda {
namespace {

class CudaEngine final : public Engine {
 public:
  explicit CudaEngine(int number) : device_(std::make_shared<Device>(number)) {}

  std::string describe() const override {
    const Gpu& gpu = device_->gpu;
    return fmt::format("cuda:{}, {}, compute capability {}.{}, {}, {}", gpu.number(), gpu.name(),
                       gpu.capability() / 10, gpu.capability() % 10,
                       device_->convolutions->describe(), device_->linears->describe());
  }

  bool supports(Precision precision) const override {
    return trains_in(device_->gpu.capability(), precision);
  }

  std::unique_ptr<Program> compile(const Network& network, const CompileOptions& options) override {
    if (!supports(options.precision)) {
      fail_usage("precision: {} is more than this GPU can ({})", name_of(options.precision),
                 describe());
    }
    device_->gpu.enter();
    return std::make_unique<CudaProgram>(device_, network, options);
  }

 private:
  std::shared_ptr<Device> device_;  // its programs hold it, too
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Engine> make_cuda_engine(int device) {
  return std::make_unique<cuda::CudaEngine>(device);
}

}  // namespace hardmoe
