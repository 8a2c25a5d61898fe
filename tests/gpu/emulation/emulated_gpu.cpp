// lib/gpu/gpu.h on the host. Memory is exactly as long as asked, so that the address
// sanitizer sees what reaches beyond, and full of NaNs.
#include "emulated_gpu.h"

#include <cstdlib>
#include <cstring>
#include <map>

#include "base/error.h"
#include "gpu/gpu.h"
#include "streams.h"

namespace cuda_emulation {

GpuOptions& gpu_options() {
  static GpuOptions options;
  return options;
}

GpuCounts& gpu_counts() {
  static GpuCounts counts;
  return counts;
}

namespace {

/// What a recorded graph may not contain, and a step may not do.
void note_allocation() {
  if (recording()) hardmoe::fail("emulated GPU: memory is asked for while recording");
  ++gpu_counts().allocations;
}

void forbid_waiting() {
  if (recording()) hardmoe::fail("emulated GPU: waited for while recording");
}

void* take(int64_t bytes) {
  constexpr size_t alignment = 256;
  void* memory = nullptr;
  const auto size = static_cast<size_t>(bytes);
  if (posix_memalign(&memory, alignment, size) != 0) return nullptr;
  std::memset(memory, 0xFF, size);
  return memory;
}

}  // namespace
}  // namespace cuda_emulation

namespace hardmoe::cuda {

using cuda_emulation::enqueue;
using cuda_emulation::gpu_counts;

struct Gpu::Handles {
  int number = 0;
  std::string name = "emulated GPU";
  CUstream_st compute, copies;
  cuda_emulation::GpuOptions options = cuda_emulation::gpu_options();
  std::map<void*, int64_t> held;

  int64_t room() const {
    int64_t bytes = options.memory;
    for (const auto& [memory, size] : held) bytes -= size;
    return bytes;
  }
};

Gpu::Gpu(int number) : handles_(std::make_unique<Handles>()) {
  handles_->number = number;
  handles_->copies.hasty = handles_->options.hasty_copies;
}
Gpu::~Gpu() = default;

int Gpu::number() const { return handles_->number; }
const std::string& Gpu::name() const { return handles_->name; }
int Gpu::capability() const { return 90; }
int64_t Gpu::total_bytes() const { return handles_->options.memory; }
int64_t Gpu::free_bytes() const { return handles_->room() - handles_->options.busy_when_asked; }
double Gpu::bytes_per_second() const { return 1e12; }
void Gpu::enter() const {}

Stream Gpu::compute() const { return &handles_->compute; }
Stream Gpu::copies() const { return &handles_->copies; }
void Gpu::synchronize(Stream stream) const {
  cuda_emulation::forbid_waiting();
  stream->finish();
}

void* Gpu::allocate(int64_t bytes) {
  cuda_emulation::note_allocation();
  if (bytes > handles_->room()) return nullptr;
  void* memory = cuda_emulation::take(bytes);
  handles_->held[memory] = bytes;
  gpu_counts().bytes += bytes;
  return memory;
}
void Gpu::release(void* memory) noexcept {
  handles_->compute.finish();  // as cudaFree() waits
  handles_->copies.finish();
  gpu_counts().bytes -= handles_->held.at(memory);
  handles_->held.erase(memory);
  std::free(memory);
}
void* Gpu::allocate_pinned(int64_t bytes) {
  cuda_emulation::note_allocation();
  return cuda_emulation::take(bytes);
}
void Gpu::release_pinned(void* memory) noexcept {
  handles_->compute.finish();
  handles_->copies.finish();
  std::free(memory);
}

void Gpu::copy(void* to, const void* from, int64_t bytes, Stream stream) const {
  if (bytes == 0) return;
  enqueue(stream, [=] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
}
void Gpu::to_device(void* device, const void* pinned, int64_t bytes, Stream stream) const {
  copy(device, pinned, bytes, stream);
}
void Gpu::to_host(void* pinned, const void* device, int64_t bytes, Stream stream) const {
  copy(pinned, device, bytes, stream);
}
void Gpu::upload(void* device, const void* host, int64_t bytes) const {
  const auto* first = static_cast<const std::byte*>(host);
  enqueue(compute(), [device, read = std::vector(first, first + bytes)] {
    if (!read.empty()) std::memcpy(device, read.data(), read.size());
  });
}
void Gpu::download(void* host, const void* device, int64_t bytes) const {
  synchronize(compute());
  if (bytes > 0) std::memcpy(host, device, static_cast<size_t>(bytes));
}
void Gpu::zero(void* device, int64_t bytes, Stream stream) const {
  if (bytes == 0) return;
  enqueue(stream, [=] { std::memset(device, 0, static_cast<size_t>(bytes)); });
}

Event Gpu::make_event(EventKind) {
  cuda_emulation::note_allocation();
  return new CUevent_st;
}
void Gpu::destroy(Event event) noexcept { delete event; }
void Gpu::record(Event event, Stream stream) const {
  cuda_emulation::forbid_waiting();
  *event = {stream, stream->enqueued};
}
void Gpu::wait(Stream stream, Event event) const {
  cuda_emulation::forbid_waiting();
  if (event->stream == nullptr) return;
  enqueue(stream, [recorded = *event] { recorded.stream->finish(recorded.place); });
}
void Gpu::synchronize(Event event) const {
  cuda_emulation::forbid_waiting();
  if (event->stream != nullptr) event->stream->finish(event->place);
}
double Gpu::seconds_between(Event start, Event end) const {
  return 1e-6 * static_cast<double>(end->place - start->place);  // a microsecond a call
}

namespace {

class EmulatedGraph final : public RecordedGraph {
 public:
  EmulatedGraph(Stream stream, std::vector<cuda_emulation::Work> work)
      : stream_(stream), work_(std::move(work)) {}
  void launch() override {
    ++gpu_counts().graph_launches;
    for (const auto& one : work_) enqueue(stream_, one);
  }

 private:
  Stream stream_;
  std::vector<cuda_emulation::Work> work_;
};

}  // namespace

std::unique_ptr<RecordedGraph> Gpu::record_graph(const std::function<void()>& work) {
  cuda_emulation::note_allocation();
  std::vector<cuda_emulation::Work> list;
  cuda_emulation::record_into(&list);
  try {
    work();
  } catch (...) {
    cuda_emulation::record_into(nullptr);
    throw;
  }
  cuda_emulation::record_into(nullptr);
  return std::make_unique<EmulatedGraph>(compute(), std::move(list));
}

}  // namespace hardmoe::cuda
