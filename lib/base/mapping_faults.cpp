#include "base/mapping_faults.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/emergency.h"
#include "base/error.h"

namespace hardmoe {
namespace {

/// A mapped piece, which the handler may look at whenever it comes.
struct Mapping {
  std::atomic<uintptr_t> begin = 0;  // 0: free; 1: being written
  std::atomic<size_t> size = 0;
  std::array<char, 512> name = {};  // ends with a zero
};

std::array<Mapping, 1024> mappings;  // more are not named

const Mapping* mapping_at(uintptr_t address) {
  for (const Mapping& mapping : mappings) {
    const uintptr_t begin = mapping.begin.load();
    if (begin > 1 && address >= begin && address - begin < mapping.size.load()) return &mapping;
  }
  return nullptr;
}

void on_bus_error(int number, siginfo_t* info, void*) {
  const Mapping* mapping = mapping_at(reinterpret_cast<uintptr_t>(info->si_addr));
  if (mapping == nullptr) {  // a fault of another kind: it strikes again, without this handler
    ::signal(number, SIG_DFL);
    return;
  }
  static std::atomic_flag told = ATOMIC_FLAG_INIT;
  if (told.test_and_set()) ::pause();  // another thread tells it, and ends the process
  write_emergency(
      {"reading ", mapping->name.data(),
       ": could not be read on: it became shorter while it was read, or its disk failed; see "
       "that it is whole, and run the same command again"});
  std::_Exit(static_cast<int>(ExitStatus::failed));
}

}  // namespace

void install_mapping_fault_handler() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

void note_mapping(const void* begin, size_t size, const std::filesystem::path& file) noexcept {
  for (Mapping& mapping : mappings) {
    uintptr_t free = 0;
    if (!mapping.begin.compare_exchange_strong(free, 1)) continue;
    const std::string_view name = file.native();
    const size_t count = std::min(name.size(), mapping.name.size() - 1);
    std::memcpy(mapping.name.data(), name.data() + (name.size() - count), count);  // its end
    mapping.name[count] = 0;
    mapping.size = size;
    mapping.begin = reinterpret_cast<uintptr_t>(begin);
    return;
  }
}

void forget_mapping(const void* begin) noexcept {
  for (Mapping& mapping : mappings) {
    uintptr_t mapped = reinterpret_cast<uintptr_t>(begin);
    if (mapping.begin.compare_exchange_strong(mapped, 0)) return;
  }
}

}  // namespace hardmoe
