#include "base/emergency.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "base/error.h"
#include "base/log.h"

namespace hardmoe {
namespace {

std::atomic<const char*> program_name = "";

/// Collects bytes without allocating.
class Line {
 public:
  void add(std::string_view text) {
    const size_t count = std::min(text.size(), bytes_.size() - size_);
    if (count > 0) std::memcpy(bytes_.data() + size_, text.data(), count);
    size_ += count;
  }
  /// Adds a text as it may stand in a JSON string and on a terminal.
  void add_plain(std::string_view text, bool json) {
    for (const char c : text) {
      if (json && (c == '"' || c == '\\')) add("\\");
      add(static_cast<unsigned char>(c) < ' ' ? "_" : std::string_view(&c, 1));
    }
  }
  void write_to(int descriptor) const {
    static_cast<void>(!::write(descriptor, bytes_.data(), size_));
  }

 private:
  std::array<char, 4096> bytes_;
  size_t size_ = 0;
};

bool memory_is_limited() {
  struct rlimit limit = {};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

constexpr std::string_view want_of_memory = "out of memory; try a smaller batch or image size";

void on_terminate() {
  try {
    if (std::current_exception()) throw;
    write_emergency({"ended by a fault of its own; please report it"});
  } catch (const std::bad_alloc&) {
    write_emergency({want_of_memory});
    std::_Exit(static_cast<int>(ExitStatus::failed));
  } catch (const Error& error) {
    write_emergency({error.what()});
    std::_Exit(static_cast<int>(error.status()));
  } catch (const std::exception& error) {
    write_emergency({error.what()});
    std::_Exit(static_cast<int>(ExitStatus::failed));
  } catch (...) {
    write_emergency({"ended by a fault of its own; please report it"});
  }
  std::abort();
}

void on_segmentation_fault(int number) {
  static std::atomic_flag told = ATOMIC_FLAG_INIT;
  if (!told.test_and_set()) {
    if (memory_is_limited()) {
      write_emergency(
          {"crashed, in all likelihood for want of memory, which is limited here (ulimit "
           "-v); raise the limit, or try a smaller batch or image size"});
      std::_Exit(static_cast<int>(ExitStatus::failed));
    }
    write_emergency({"crashed (segmentation fault); please report it"});
  }
  ::signal(number, SIG_DFL);  // the fault strikes again, and ends the process as one does
}

}  // namespace

void set_emergency_name(const char* program) noexcept { program_name = program; }

void write_emergency(std::initializer_list<std::string_view> pieces) noexcept {
  const bool json = log_is_json();
  Line line;
  if (json) {
    line.add(R"({"level":"error","message":")");
  } else {
    line.add(program_name.load());
    line.add(": ");
  }
  for (const std::string_view piece : pieces) line.add_plain(piece, json);
  if (json) {
    line.add(R"(","command":")");
    line.add_plain(program_name.load(), json);
    line.add("\"}");
  }
  line.add("\n");
  line.write_to(STDERR_FILENO);
}

void install_crash_handlers() {
  std::set_terminate(on_terminate);
  static std::array<char, 64 * 1024> stack;  // for a handler of the first thread's overflow
  stack_t alternate = {};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action = {};
  action.sa_handler = on_segmentation_fault;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace hardmoe
