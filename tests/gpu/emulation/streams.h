// The emulation's queues. What is enqueued is done as late as it can be: when somebody waits for
// it. A queue may instead be hasty, and do everything at once, first what it has been told to wait
// for. Between the two, a missing wait shows in what is computed. The null stream does everything
// at once.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

struct CUstream_st {
  std::deque<std::function<void()>> waiting;
  int64_t enqueued = 0;
  int64_t done = 0;
  bool hasty = false;

  void finish(int64_t until);
  void finish() { finish(enqueued); }
};

/// A place in a queue, once recorded.
struct CUevent_st {
  CUstream_st* stream = nullptr;
  int64_t place = 0;
};

namespace cuda_emulation {

using Work = std::function<void()>;

void enqueue(CUstream_st* stream, Work work);

/// While set, what is enqueued anywhere is appended to it instead. Null again: no longer.
void record_into(std::vector<Work>* list);
bool recording();

}  // namespace cuda_emulation
