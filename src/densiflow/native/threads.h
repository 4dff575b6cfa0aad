// Work shared between the threads that XLA lends.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace densiflow {

// Run work(i) for i = 0 .. count - 1. The caller works too, and waits for pieces that are under way, never for helpers
// to begin: a busy pool cannot block it, and a helper that comes late finds nothing left and touches nothing.
template <typename Work>
void in_parallel(xla::ffi::ThreadPool& pool, int64_t count, const Work& work) {
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
  };
  const auto state = std::make_shared<State>();
  const auto run = [state, count, &work] {
    for (int64_t i; (i = state->next++) < count;) {
      work(i);
      if (++state->done < count) continue;
      const std::lock_guard<std::mutex> lock(state->mutex);
      state->finished.notify_all();
    }
  };
  for (int64_t helper = 1; helper < std::min(pool.num_threads(), count); ++helper) pool.Schedule([run] { run(); });
  run();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->finished.wait(lock, [&] { return state->done == count; });
}

// Numbers that a thread may overwrite, kept from call to call and aligned to the cache's lines. Kinds are apart.
template <int KIND = 0>
float* scratch(int64_t size) {
  constexpr int64_t LINE = 16;
  thread_local std::vector<float> numbers;
  if ((int64_t)numbers.size() < size + LINE) numbers.resize(size + LINE);
  return (float*)(((uintptr_t)numbers.data() + 4 * LINE - 1) & ~(uintptr_t)(4 * LINE - 1));
}

}  // namespace densiflow
