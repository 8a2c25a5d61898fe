// What is said by a process that can do little else.
#include "base/emergency.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "base/workers.h"

namespace hardmoe {
namespace {

class Emergency : public testing::Test {
 protected:
  Emergency() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static void install() {
    set_emergency_name("moe-test");
    install_crash_handlers();
  }
};

TEST_F(Emergency, WhatNobodyCatchesInAThreadIsASentence) {
  const auto thrown_in_thread = [](auto exception) {
    install();
    std::thread([&] { throw exception; }).join();
  };
  EXPECT_EXIT(thrown_in_thread(std::bad_alloc()), testing::ExitedWithCode(1),
              "moe-test: out of memory; try a smaller batch");
  EXPECT_EXIT(thrown_in_thread(Error("a.npy: not an array", ExitStatus::usage)),
              testing::ExitedWithCode(2), "moe-test: a.npy: not an array");
  EXPECT_EXIT(thrown_in_thread(std::runtime_error("odd")), testing::ExitedWithCode(1),
              "moe-test: odd");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
int depth_of(int n) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(n);
  return n == 0 ? frame[0] : depth_of(n - 1) + frame[0];
}

TEST_F(Emergency, ACrashIsASentence) {
  const auto crash = [](bool limited) {
    install();
    if (limited) {
      const struct rlimit limit = {rlim_t{1} << 40, RLIM_INFINITY};
      ::setrlimit(RLIMIT_AS, &limit);
    }
    std::_Exit(depth_of(1 << 30) == 0 ? 3 : 4);
  };
  EXPECT_EXIT(crash(false), testing::KilledBySignal(SIGSEGV), "moe-test: crashed .segmentation");
  EXPECT_EXIT(crash(true), testing::ExitedWithCode(1), "moe-test: crashed, .*ulimit -v");
}
#endif

TEST(Workers, AreJoined) {
  std::atomic<int> sum = 0;
  Workers workers;
  workers.start(3, [&](int number) { sum += 1 << number; });
  workers.join();
  EXPECT_EQ(sum, 7);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(Emergency, WithoutAnyThreadThereIsAnErrorWithSomeAWarning) {
  // Address space for no further stack, or for one.
  const auto start = [](bool one, int least) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, size_t{1} << 30);
    pthread_setattr_default_np(&attributes);
    const struct rlimit limit = {rlim_t{one ? 1'700'000'000U : 600'000'000U}, RLIM_INFINITY};
    ::setrlimit(RLIMIT_AS, &limit);
    std::atomic<bool> end = false;
    try {
      Workers workers;
      workers.start(
          3, [&](int) { end.wait(false); }, least);
      end = true;
      end.notify_all();
    } catch (const Error& error) {
      write_emergency({error.what()});
      std::_Exit(1);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(start(false, 1), testing::ExitedWithCode(1),
              "starting a thread: .*; raise the limit");
  EXPECT_EXIT(start(true, 1), testing::ExitedWithCode(0),
              "warning: .*; 1 instead of 3 do the work");
  EXPECT_EXIT(start(false, 0), testing::ExitedWithCode(0),
              "warning: .*; 0 instead of 3 do the work");
}
#endif

}  // namespace
}  // namespace hardmoe
