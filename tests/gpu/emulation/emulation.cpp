// Runs a grid on the host. Each thread of a block has a stack and runs until it meets a barrier or
// ends; when all have met it, all go on. Shared memory is filled with NaNs before every block, and
// under the address sanitizer what a launch did not ask for is out of bounds.
#include "emulation.h"

#include <cuda_runtime.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) static_cast<void>(bytes)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) static_cast<void>(bytes)
#endif

namespace hardmoe::cuda {
constexpr size_t shared_capacity = 48 * 1024;  // what a launch may ask for without an attribute
alignas(16) unsigned char dynamic_shared[shared_capacity];
}  // namespace hardmoe::cuda

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_emulation {
namespace {

using hardmoe::cuda::dynamic_shared;
using hardmoe::cuda::shared_capacity;

constexpr size_t stack_bytes = 128 * 1024;
constexpr unsigned most_threads = 1024;

constexpr int few_multiprocessors = 3;
int multiprocessor_count = few_multiprocessors;
bool launches_run = true;
std::vector<int64_t> launched_blocks;
Order thread_order = Order::ascending;
int64_t barrier_count = 0;

[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr, "CUDA emulation: %s\n", what);
  std::abort();
}

/// A thread of the block that is running.
struct Fiber {
  ucontext_t context;
  void* stack = nullptr;
  dim3 index;
  bool started = false;
  bool ended = false;
  void* sanitizer = nullptr;
};

ucontext_t scheduler;
const void* scheduler_stack = nullptr;
size_t scheduler_bytes = 0;
Fiber* running = nullptr;
const std::function<void()>* kernel = nullptr;

// The address sanitizer wants to know of every change of stacks.
void leave([[maybe_unused]] void** keep, [[maybe_unused]] const void* stack,
           [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(keep, stack, bytes);
#endif
}
void arrive([[maybe_unused]] void* kept, [[maybe_unused]] const void** stack,
            [[maybe_unused]] size_t* bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(kept, stack, bytes);
#endif
}

void fiber_main() {
  arrive(nullptr, &scheduler_stack, &scheduler_bytes);
  (*kernel)();
  running->ended = true;
  leave(nullptr, scheduler_stack, scheduler_bytes);  // for good
  setcontext(&scheduler);
}

/// Lets a thread run to its next barrier or its end.
void resume(Fiber& fiber) {
  running = &fiber;
  threadIdx = fiber.index;
  void* kept = nullptr;
  leave(&kept, fiber.stack, stack_bytes);
  swapcontext(&scheduler, &fiber.context);
  arrive(kept, nullptr, nullptr);
}

void* new_stack() {
  void* p = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) refuse("no memory for a stack");
  return p;
}

void start(Fiber& fiber) {
  static std::vector<void*>& stacks = *new std::vector<void*>;  // unused ones, kept for the next
  if (fiber.ended) {
    stacks.push_back(fiber.stack);
    fiber.stack = nullptr;
    return;
  }
  if (stacks.empty()) stacks.push_back(new_stack());
  fiber.stack = stacks.back();
  stacks.pop_back();
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = stack_bytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber_main, 0);
  fiber.started = true;
}

std::vector<unsigned> order_of(unsigned count) {
  static std::mt19937 random(17);
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0U);
  if (thread_order == Order::descending) std::reverse(order.begin(), order.end());
  if (thread_order == Order::shuffled) std::shuffle(order.begin(), order.end(), random);
  return order;
}

void run_block(std::vector<Fiber>& fibers, dim3 size) {
  const auto count = static_cast<unsigned>(fibers.size());
  for (unsigned i = 0; i < count; ++i) {
    fibers[i] = Fiber{};
    fibers[i].index = dim3(i % size.x, i / size.x % size.y, i / (size.x * size.y));
  }
  for (unsigned left = count; left > 0;) {
    unsigned waiting = 0;
    for (const unsigned i : order_of(count)) {
      Fiber& fiber = fibers[i];
      if (fiber.ended) continue;
      if (!fiber.started) start(fiber);
      resume(fiber);
      if (fiber.ended) start(fiber);  // gives its stack back
      waiting += fiber.ended ? 0 : 1;
    }
    if (waiting == 0) return;
    if (waiting != left) refuse("some threads of a block ended while others wait at a barrier");
    ++barrier_count;
  }
}

}  // namespace

void set_order(Order order) { thread_order = order; }
int64_t barriers() { return barrier_count; }
int multiprocessors() { return multiprocessor_count; }

LaunchesOnly::LaunchesOnly(int multiprocessors) {
  multiprocessor_count = multiprocessors;
  launches_run = false;
  launched_blocks.clear();
}
LaunchesOnly::~LaunchesOnly() {
  multiprocessor_count = few_multiprocessors;
  launches_run = true;
}
const std::vector<int64_t>& LaunchesOnly::blocks() const { return launched_blocks; }

void barrier() {
  Fiber& fiber = *running;
  leave(&fiber.sanitizer, scheduler_stack, scheduler_bytes);
  swapcontext(&fiber.context, &scheduler);
  arrive(fiber.sanitizer, &scheduler_stack, &scheduler_bytes);
}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body) {
  const unsigned threads = block.x * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) refuse("a grid without blocks");
  if (grid.y > 65535 || grid.z > 65535) refuse("more than 65535 blocks along y or z");
  if (threads == 0 || threads > most_threads) refuse("a block takes 1 to 1024 threads");
  if (shared_bytes > shared_capacity) refuse("more than 48 KB of shared memory");
  if (grid.x > 0x7FFFFFFF) refuse("more than 2^31 - 1 blocks along x");
  if (!launches_run) {
    launched_blocks.push_back(int64_t{grid.x} * int64_t{grid.y} * int64_t{grid.z});
    return;
  }
  kernel = &body;
  std::vector<Fiber> fibers(threads);
  for (const unsigned i : order_of(grid.x * grid.y * grid.z)) {
    blockIdx = dim3(i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y));
    blockDim = block;
    gridDim = grid;
    ASAN_UNPOISON_MEMORY_REGION(dynamic_shared, shared_capacity);
    std::memset(dynamic_shared, 0xFF, shared_capacity);
    ASAN_POISON_MEMORY_REGION(dynamic_shared + shared_bytes, shared_capacity - shared_bytes);
    run_block(fibers, block);
  }
  ASAN_UNPOISON_MEMORY_REGION(dynamic_shared, shared_capacity);
}

}  // namespace cuda_emulation

// Exactly as long as asked, so that the address sanitizer sees what reaches beyond.
cudaError_t cudaMalloc(void** p, size_t bytes) {
  constexpr size_t alignment = 256;
  return posix_memalign(p, alignment, std::max<size_t>(bytes, 1)) == 0 ? cudaSuccess
                                                                       : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void* p) {
  std::free(p);
  return cudaSuccess;
}
