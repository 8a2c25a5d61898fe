#include "gpu/gpu.h"

#include "gpu/cuda/check.h"
#include "gpu/cuda/devices.h"

namespace hardmoe::cuda {

struct Gpu::Handles {
  int number = 0;
  std::string name;
  int capability = 0;
  cudaStream_t compute = nullptr;
  cudaStream_t copies = nullptr;

  ~Handles() {
    for (const cudaStream_t stream : {compute, copies}) {
      if (stream == nullptr) continue;
      cudaStreamSynchronize(stream);
      cudaStreamDestroy(stream);
    }
  }
};

namespace {

size_t size_of(int64_t bytes) { return static_cast<size_t>(bytes); }

class CudaGraph final : public RecordedGraph {
 public:
  CudaGraph(cudaGraph_t graph, cudaStream_t stream) : stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "to make a graph");
    // Its memory and code go to the GPU now, not with the first launch.
    check(cudaGraphUpload(executable_, stream_), "to take a graph");
  }
  ~CudaGraph() override {
    cudaStreamSynchronize(stream_);
    cudaGraphExecDestroy(executable_);
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  void launch() override { check(cudaGraphLaunch(executable_, stream_), "to start a graph"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

Gpu::Gpu(int number) : handles_(std::make_unique<Handles>()) {
  choose_device(number);
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, number), "to describe itself");
  handles_->number = number;
  handles_->name = properties.name;
  handles_->capability = properties.major * 10 + properties.minor;
  check(cudaStreamCreateWithFlags(&handles_->compute, cudaStreamNonBlocking), "to start");
  check(cudaStreamCreateWithFlags(&handles_->copies, cudaStreamNonBlocking), "to start");
}

Gpu::~Gpu() = default;

int Gpu::number() const { return handles_->number; }
const std::string& Gpu::name() const { return handles_->name; }
int Gpu::capability() const { return handles_->capability; }

int64_t Gpu::total_bytes() const {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "to say how much memory it has");
  return static_cast<int64_t>(total);
}

int64_t Gpu::free_bytes() const {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "to say how much memory it has");
  return static_cast<int64_t>(free);
}

double Gpu::bytes_per_second() const {
  int kilohertz = 0, bits = 0;
  check(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrMemoryClockRate, handles_->number),
        "to describe its memory");
  check(cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, handles_->number),
        "to describe its memory");
  return 2e3 * static_cast<double>(kilohertz) * static_cast<double>(bits) / 8;  // two a clock
}

void Gpu::enter() const { check(cudaSetDevice(handles_->number), "to answer"); }

Stream Gpu::compute() const { return handles_->compute; }
Stream Gpu::copies() const { return handles_->copies; }
void Gpu::synchronize(Stream stream) const {
  check(cudaStreamSynchronize(stream), "while computing");
}

void* Gpu::allocate(int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, size_of(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(status, "to give memory");
  return memory;
}

void Gpu::release(void* memory) noexcept { cudaFree(memory); }

void* Gpu::allocate_pinned(int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaHostAlloc(&memory, size_of(bytes), cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(status, "to pin memory");
  return memory;
}

void Gpu::release_pinned(void* memory) noexcept { cudaFreeHost(memory); }

void Gpu::to_device(void* device, const void* pinned, int64_t bytes, Stream stream) const {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(device, pinned, size_of(bytes), cudaMemcpyHostToDevice, stream),
        "to take data");
}

void Gpu::to_host(void* pinned, const void* device, int64_t bytes, Stream stream) const {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(pinned, device, size_of(bytes), cudaMemcpyDeviceToHost, stream),
        "to give results");
}

void Gpu::copy(void* to, const void* from, int64_t bytes, Stream stream) const {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, size_of(bytes), cudaMemcpyDeviceToDevice, stream),
        "to copy data");
}

void Gpu::zero(void* device, int64_t bytes, Stream stream) const {
  if (bytes == 0) return;
  check(cudaMemsetAsync(device, 0, size_of(bytes), stream), "to clear memory");
}

void Gpu::upload(void* device, const void* host, int64_t bytes) const {
  to_device(device, host, bytes, compute());  // from memory that is not pinned: returns when read
}

void Gpu::download(void* host, const void* device, int64_t bytes) const {
  to_host(host, device, bytes, compute());
  synchronize(compute());
}

Event Gpu::make_event(EventKind kind) {
  cudaEvent_t event = nullptr;
  // Waiting for an event sleeps: loaders need the processors.
  const unsigned flags =
      kind == EventKind::order ? cudaEventDisableTiming | cudaEventBlockingSync : cudaEventDefault;
  check(cudaEventCreateWithFlags(&event, flags), "to make an event");
  return event;
}

void Gpu::destroy(Event event) noexcept { cudaEventDestroy(event); }

void Gpu::record(Event event, Stream stream) const {
  check(cudaEventRecord(event, stream), "to record an event");
}

void Gpu::wait(Stream stream, Event event) const {
  check(cudaStreamWaitEvent(stream, event, 0), "to wait for an event");
}

void Gpu::synchronize(Event event) const { check(cudaEventSynchronize(event), "while computing"); }

double Gpu::seconds_between(Event start, Event end) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start, end), "to measure");
  return 1e-3 * static_cast<double>(milliseconds);
}

std::unique_ptr<RecordedGraph> Gpu::record_graph(const std::function<void()>& work) {
  // Thread-local: other threads (loaders, another GPU's program) may go on calling CUDA.
  check(cudaStreamBeginCapture(handles_->compute, cudaStreamCaptureModeThreadLocal),
        "to record a graph");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(handles_->compute, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(handles_->compute, &graph), "to record a graph");
  return std::make_unique<CudaGraph>(graph, handles_->compute);
}

}  // namespace hardmoe::cuda
