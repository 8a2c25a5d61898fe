#include "engine/cpu/engine.h"

#include "base/error.h"
#include "base/threads.h"
#include "engine/cpu/program.h"

namespace hardmoe::cpu {
namespace {

class CpuEngine final : public Engine {
 public:
  std::string describe() const override {
    return fmt::format("CPU, {}, {} threads", onednn::describe(), compute_threads());
  }

  bool supports(Precision precision) const override {
    return precision == Precision::fp32 || (precision == Precision::bf16 && onednn::has_bf16());
  }

  std::unique_ptr<Program> compile(const Network& network, const CompileOptions& options) override {
    if (options.precision == Precision::tf32) {
      fail_usage("precision: tf32 is arithmetic of NVIDIA GPUs; on the CPU use fp32");
    }
    if (!supports(options.precision)) {
      fail_usage("precision: bf16 needs a processor with AVX-512 BF16, this one has {}; use fp32",
                 onednn::describe());
    }
    return std::make_unique<CpuProgram>(network, options);
  }
};

}  // namespace

std::unique_ptr<Engine> make_cpu_engine() { return std::make_unique<CpuEngine>(); }

}  // namespace hardmoe::cpu
