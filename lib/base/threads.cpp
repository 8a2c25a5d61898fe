#include "base/threads.h"

#include <omp.h>
#include <unistd.h>

#include "base/error.h"

namespace hardmoe {

int compute_threads() { return omp_get_max_threads(); }

int available_processors() { return omp_get_num_procs(); }

int64_t machine_memory() { return int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE); }

void set_compute_threads(int count) {
  if (count < 1 || count > 1024) fail_usage("--threads: expected 1 to 1024, found {}", count);
  omp_set_num_threads(count);
}

}  // namespace hardmoe
