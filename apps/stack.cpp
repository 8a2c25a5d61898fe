#include "stack.h"

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/error.h"

namespace hardmoe {

void require_stack() {
  constexpr rlim_t wanted = rlim_t{8} << 20, least = rlim_t{1} << 20;
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_STACK, &limit);
  if (limit.rlim_cur < least) {
    fail_usage("the stack is limited to {} KiB (ulimit -s); at least {} are needed",
               limit.rlim_cur / 1024, least / 1024);
  }
  pthread_attr_t attributes;
  if (::pthread_getattr_default_np(&attributes) != 0) return;
  ::pthread_attr_setstacksize(&attributes, limit.rlim_cur);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

}  // namespace hardmoe
