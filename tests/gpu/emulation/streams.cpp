#include "streams.h"

#include <utility>

namespace cuda_emulation {
namespace {

std::vector<Work>* recorded = nullptr;

}  // namespace

void record_into(std::vector<Work>* list) { recorded = list; }
bool recording() { return recorded != nullptr; }

void enqueue(CUstream_st* stream, Work work) {
  if (recorded != nullptr) {
    recorded->push_back(std::move(work));
  } else if (stream == nullptr) {
    work();
  } else {
    stream->waiting.push_back(std::move(work));
    ++stream->enqueued;
    if (stream->hasty) stream->finish();
  }
}

}  // namespace cuda_emulation

void CUstream_st::finish(int64_t until) {
  while (done < until) {
    const auto work = std::move(waiting.front());
    waiting.pop_front();
    ++done;
    work();
  }
}
