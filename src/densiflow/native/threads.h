// Work shared between the threads that XLA lends.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace densiflow {

// Run work(i) for i = 0 .. count - 1, begun in that order, each as soon as ready(i), which may ask for earlier work to
// be done. The caller works too, and waits for work that is under way, never for helpers to begin: a busy pool cannot
// block it, and a helper that comes late finds nothing left and touches nothing.
template <typename Work, typename Ready>
void in_parallel(xla::ffi::ThreadPool& pool, int64_t count, const Work& work, const Ready& ready) {
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
  };
  const auto state = std::make_shared<State>();
  const auto run = [state, count, &work, &ready] {
    for (int64_t i; (i = state->next++) < count;) {
      while (!ready(i)) std::this_thread::yield();
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

template <typename Work>
void in_parallel(xla::ffi::ThreadPool& pool, int64_t count, const Work& work) {
  in_parallel(pool, count, work, [](int64_t) { return true; });
}

// Run work(round, i) for i = 0 .. count - 1, round after round. Work of a round waits for that of the same i alone.
template <typename Work>
void in_rounds(xla::ffi::ThreadPool& pool, int64_t rounds, int64_t count, const Work& work) {
  std::vector<std::atomic<int64_t>> done(count);
  const auto run = [&](int64_t i) {
    work(i / count, i % count);
    ++done[i % count];
  };
  in_parallel(pool, rounds * count, run, [&](int64_t i) { return done[i % count] == i / count; });
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
