#include "base/workers.h"

#include <system_error>

#include "base/error.h"
#include "base/log.h"

namespace hardmoe {

void Workers::start(int count, const std::function<void(int)>& work, int least) {
  threads_.reserve(static_cast<size_t>(count));
  for (int number = 0; number < count; ++number) {
    try {
      threads_.emplace_back(work, number);
    } catch (const std::system_error& error) {
      constexpr const char* remedy =
          "raise the limit on processes or memory (ulimit -u, ulimit -v), or lower --threads";
      if (number < least) fail("starting a thread: {}; {}", error.code().message(), remedy);
      log_warning("starting a thread: {}; {} instead of {} do the work; {}", error.code().message(),
                  number, count, remedy);
      return;
    }
  }
}

void Workers::join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace hardmoe
