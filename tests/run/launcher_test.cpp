// Child processes: how many at once, what is said of those that fail, and how they are stopped.
#include "run/launcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <thread>

#include "base/file_lock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class Launcher : public testing::Test {
 protected:
  ProcessSpec shell(const std::string& name, const std::string& script) const {
    return {name, {"/bin/sh", "-c", script}, folder / (name + ".txt")};
  }
  /// The names of those that finished, in the order they did.
  std::vector<std::string> run(const std::vector<ProcessSpec>& processes,
                               const LaunchOptions& options) {
    std::vector<RunStage> stages;
    for (const auto& process : processes) stages.push_back({.process = process});
    return run_graph(stages, options);
  }
  std::vector<std::string> run(const std::vector<ProcessSpec>& processes, int parallel) {
    return run(processes, LaunchOptions{.parallel = parallel});
  }
  std::vector<std::string> run_graph(const std::vector<RunStage>& stages, int parallel) {
    return run_graph(stages, LaunchOptions{.parallel = parallel});
  }
  std::vector<std::string> run_graph(const std::vector<RunStage>& stages,
                                     const LaunchOptions& options) {
    finished.clear();
    run_stages(stages, options, [&](const RunStage& stage, const ProcessResult& result) {
      EXPECT_EQ(result.exit_status, 0);
      finished.push_back(stage.process.name);
    });
    return finished;
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }

  TemporaryFolder folder;
  std::vector<std::string> finished;
};

bool wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST_F(Launcher, OneAtATimeKeepsTheOrder) {
  EXPECT_EQ(run({shell("a", "sleep 0.05"), shell("b", "true"), shell("c", "true")}, 1),
            (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(Launcher, AsManyAtOnceAsAsked) {
  // Each is counted while it runs; the first two can only end together.
  const std::string counted = fmt::format(
      "mkdir {0}/$$; ls -d {0}/[0-9]* | wc -l >> {0}/counts; sleep 0.05; {{}}; rmdir {0}/$$",
      folder.path().string());
  const auto meet = [&](const char* mine, const char* other) {
    const std::string script =
        fmt::format("touch {}; until [ -e {} ]; do sleep 0.01; done", path(mine), path(other));
    return fmt::format(fmt::runtime(counted), script);
  };
  const std::string alone = fmt::format(fmt::runtime(counted), "true");
  run({shell("a", meet("x", "y")), shell("b", meet("y", "x")), shell("c", alone), shell("d", alone),
       shell("e", alone)},
      2);
  EXPECT_EQ(finished.size(), 5U);
  for (const auto& line : split(trim(read_file(folder / "counts")), '\n')) {
    EXPECT_LE(std::stoi(line), 2);
  }
}

TEST_F(Launcher, BothOutputsGoToTheLogAndInputIsEmpty) {
  run({shell("a", "cat; echo out; echo err >&2")}, 1);
  EXPECT_EQ(read_file(folder / "a.txt"), "out\nerr\n");
}

TEST_F(Launcher, WarningsAreRepeatedOnceWithTheirNames) {
  std::ofstream(folder / "a.txt") << "warning: of an earlier run\n";
  const std::string lists =
      "echo started; echo 'warning: not all is of use:' >&2; echo '  x.tar' >&2; "
      "echo '  y.tar' >&2; echo '            train  val'; echo '  rejected: 3'; "
      "echo 'no warning: none'; printf 'warning: the last one' >&2; echo >&2";
  testing::internal::CaptureStderr();
  run({shell("a", lists), shell("expert 1", "echo 'warning: few images' >&2")}, 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "warning: a: not all is of use:\n  x.tar\n  y.tar\nwarning: a: the last one\n"
            "warning: expert 1: few images\n");
  EXPECT_NE(read_file(folder / "a.txt").find("earlier run\nstarted\nwarning: not all"),
            std::string::npos);
}

TEST_F(Launcher, WarningsOfSeveralAtOnceStayWhole) {
  // Each writes its list piece by piece, while the other does; the run waits for what it has seen.
  const auto script = [&](const char* name) {
    return fmt::format(
        "for i in 1 2 3; do printf 'warning: {0} lists'; sleep 0.01; printf ':\\n  {0}1\\n'; "
        "sleep 0.01; printf '  {0}2\\n'; echo next; done",
        name);
  };
  testing::internal::CaptureStderr();
  run({shell("x", script("x")), shell("y", script("y"))}, 2);
  const std::string shown = testing::internal::GetCapturedStderr();
  for (const char* name : {"x", "y"}) {
    const std::string whole = fmt::format("warning: {0}: {0} lists:\n  {0}1\n  {0}2\n", name);
    size_t count = 0;
    for (size_t at = shown.find(whole); at != std::string::npos; at = shown.find(whole, at + 1)) {
      ++count;
    }
    EXPECT_EQ(count, 3U) << shown;
  }
}

TEST_F(Launcher, WarningsAreSeenWhileTheStageRuns) {
  const std::string script =
      "echo 'warning: early' >&2; until [ -e " + path("go") + " ]; do sleep 0.01; done; exit 3";
  const int saved = ::dup(STDERR_FILENO);
  const int file = ::open(path("seen").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  ::dup2(file, STDERR_FILENO);
  std::jthread reader([&] {
    wait_for([&] { return read_file(folder / "seen") == "warning: slow: early\n"; });
    std::ofstream(folder / "go").flush();
  });
  expect_error([&] { run({shell("slow", script)}, 1); }, {"slow failed (exit status 3)"});
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(file);
  EXPECT_EQ(read_file(folder / "seen"), "warning: slow: early\n");
}

TEST_F(Launcher, AFailureIsToldAndNothingNewStarted) {
  const std::vector<ProcessSpec> processes = {
      shell("good", "true"), shell("expert 1", "echo at work; echo 'no disk' >&2; exit 1"),
      shell("never", "touch " + path("started"))};
  expect_error([&] { run(processes, 1); },
               {"expert 1 failed (exit status 1): no disk", path("expert 1.txt")});
  EXPECT_EQ(finished, (std::vector<std::string>{"good"}));
  EXPECT_FALSE(fs::exists(folder / "started"));
}

TEST_F(Launcher, WhatASentenceListsIsToldWithIt) {
  expect_error(
      [&] {
        run({shell("a", "printf 'at work\\nmade from others:\\n  x\\n  y\\n\\n'; exit 2")}, 1);
      },
      {"a failed (exit status 2): made from others:\n  x\n  y (all of it in "}, ExitStatus::usage);
}

TEST_F(Launcher, ALaneHasOneAtATime) {
  // c, of a's lane, is passed over while a runs, for d, of b's: a waits for d.
  auto a = shell("a", "until [ -e " + path("d") + " ]; do sleep 0.01; done; touch " + path("over"));
  auto b = shell("b", "true");
  auto c = shell("c", "test -e " + path("over"));
  auto d = shell("d", "touch " + path("d"));
  a.lane = c.lane = 0;
  b.lane = d.lane = 1;
  run({a, b, c, d}, 3);
  ASSERT_EQ(finished.size(), 4U);
  EXPECT_LT(std::ranges::find(finished, "a"), std::ranges::find(finished, "c"));
}

TEST_F(Launcher, AStageRunsWhenWhatItIsAfterIsDone) {
  // Declared backwards: the first needs what the last makes.
  const std::vector<RunStage> stages = {
      {.process = shell("use", "cat " + path("made")), .after = {"make", "slow"}},
      {.process = shell("slow", "sleep 0.1; cat " + path("made")), .after = {"make"}},
      {.process = shell("make", "touch " + path("made"))}};
  EXPECT_EQ(run_graph(stages, 3), (std::vector<std::string>{"make", "slow", "use"}));
}

TEST_F(Launcher, ExpertsOfManyImagesBeginFirst) {
  std::ofstream(folder / "partition.json") << R"({"sizes": [20, 70, 30]})";
  std::vector<RunStage> stages = {{.process = shell("partition", "true")}};
  for (int k = 0; k < 3; ++k) {
    stages.push_back({.process = shell("expert " + std::to_string(k), "true"),
                      .after = {"partition"},
                      .part = k,
                      .partition = folder.path()});
  }
  stages.push_back({.process = shell("longer", "true")});
  EXPECT_EQ(run_graph(stages, 1),
            (std::vector<std::string>{"partition", "expert 1", "expert 2", "expert 0", "longer"}));
}

TEST_F(Launcher, WhatIsAfterAFailureNeverStarts) {
  const std::vector<RunStage> stages = {
      {.process = shell("bad", "exit 3")},
      {.process = shell("next", "touch " + path("next")), .after = {"bad"}}};
  expect_error([&] { run_graph(stages, 2); }, {"bad failed (exit status 3)"});
  EXPECT_FALSE(fs::exists(folder / "next"));
}

TEST_F(Launcher, AStageAloneHasNothingBesideIt) {
  const std::string quiet = "mkdir " + path("busy") + "; sleep 0.05; rmdir " + path("busy");
  const std::vector<RunStage> stages = {{.process = shell("a", quiet)},
                                        {.process = shell("alone", quiet), .alone = true},
                                        {.process = shell("b", quiet), .after = {"a"}}};
  EXPECT_EQ(run_graph(stages, 3).size(), 3U);
  for (const char* name : {"a", "alone", "b"}) {
    EXPECT_EQ(read_file(folder / (name + std::string(".txt"))), "");  // mkdir found none there
  }
}

TEST_F(Launcher, OthersFinishWhenOneFails) {
  expect_error(
      [&] {
        run({shell("bad", "exit 3"), shell("slow", "sleep 0.2; touch " + path("finished"))}, 2);
      },
      {"bad failed (exit status 3): no message"});
  EXPECT_TRUE(fs::exists(folder / "finished"));
  EXPECT_EQ(finished, (std::vector<std::string>{"slow"}));
}

TEST_F(Launcher, StatusesKeepTheirMeaning) {
  expect_error([&] { run({shell("a", "echo wrong option; exit 2")}, 1); },
               {"a failed (exit status 2): wrong option"}, ExitStatus::usage);
  expect_error(
      [&] {
        run({shell("a", "exit 75"), shell("b", "touch " + path("b"))}, 1);
      },
      {"interrupted", "same command"}, ExitStatus::interrupted);
  EXPECT_FALSE(fs::exists(folder / "b"));
  expect_error([&] { run({shell("a", "kill -KILL $$")}, 1); },
               {"a failed (killed by signal 9, Killed; perhaps memory ran out): no message"});
  expect_error([&] { run({shell("a", "kill -TERM $$")}, 1); },
               {"a failed (killed by signal 15, Terminated): no message"});
}

TEST_F(Launcher, ProgramsThatCannotStartAreNamed) {
  expect_error(
      [&] {
        run({{"a", {"/nowhere/moe-x"}, folder / "a.txt"}}, 1);
      },
      {"a failed (exit status 127)", "/nowhere/moe-x: No such file"});
  expect_error([&] { run({{"a", {"true"}, folder / "no/a.txt"}}, 1); }, {path("no/a.txt")});
}

TEST_F(Launcher, KeepsGoingWithWhatDoesNotNeedTheFailed) {
  const std::vector<RunStage> stages = {
      {.process = shell("bad", "echo 'no room' >&2; exit 1")},
      {.process = shell("needs bad", "touch " + path("needs")), .after = {"bad"}},
      {.process = shell("good", "true")},
      {.process = shell("killed", "kill -KILL $$")},
      {.process = shell("needs good", "true"), .after = {"good"}}};
  expect_error(
      [&] { run_graph(stages, LaunchOptions{.parallel = 1, .keep_going = true}); },
      {"2 stages failed; 1 stage was not begun:\n  bad failed (exit status 1): no room (all",
       "\n  killed failed (killed by signal 9, Killed; perhaps memory ran out)"});
  EXPECT_EQ(finished, (std::vector<std::string>{"good", "needs good"}));
  EXPECT_FALSE(fs::exists(folder / "needs"));
}

TEST_F(Launcher, AFailedStageIsStartedAgain) {
  const LaunchOptions options{.parallel = 2, .retries = 2, .retry_seconds = 0.01};
  const auto fails = [&](const char* name, int times) {
    return shell(name, fmt::format("echo x >> {0}; [ $(wc -l < {0}) -gt {1} ]",
                                   path(fmt::format("{}-tried", name)), times));
  };
  const auto tried = [&](const char* name) {
    return std::ranges::count(read_file(folder / fmt::format("{}-tried", name)), 'x');
  };
  testing::internal::CaptureStderr();
  run({fails("twice", 2), shell("good", "true")}, options);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("twice failed (exit status 1)"), std::string::npos) << said;
  EXPECT_NE(said.find("again in 0.02 s (retry 2 of 2)"), std::string::npos) << said;
  EXPECT_EQ(tried("twice"), 3);
  EXPECT_EQ(finished.size(), 2U);
  expect_error([&] { run({fails("often", 3)}, options); }, {"often failed (exit status 1)"});
  EXPECT_EQ(tried("often"), 3);
  // Settings that are wrong stay so.
  expect_error(
      [&] { run({shell("wrong", "echo x >> " + path("wrong-tried") + "; exit 2")}, options); },
      {"wrong failed (exit status 2)"}, ExitStatus::usage);
  EXPECT_EQ(tried("wrong"), 1);
}

TEST_F(Launcher, ASignalBeforeARetryInterruptsTheRun) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto interrupted_run = [&] {
    install_signal_handlers();
    std::jthread signal([&] {
      wait_for([&] { return fs::exists(folder / "failed"); });
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      ::kill(::getpid(), SIGTERM);
    });
    try {
      run({shell("a", "touch " + path("failed") + "; exit 1")},
          LaunchOptions{.retries = 3, .retry_seconds = 50});
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n", error.what());
      std::_Exit(static_cast<int>(error.status()));
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(interrupted_run(), testing::ExitedWithCode(75), "same command again");
}

TEST_F(Launcher, WhatAnotherProcessWritesIsWaitedForWhileOthersRun) {
  fs::create_directories(folder / "elsewhere");
  std::optional<FileLock> lock(std::in_place, folder / "elsewhere/.lock", "elsewhere");
  std::jthread owner([&] {
    wait_for([&] { return fs::exists(folder / "here"); });
    lock.reset();
  });
  const std::vector<RunStage> stages = {
      {.process = shell("a", "true"), .folder = folder / "elsewhere"},
      {.process = shell("b", "touch " + path("here")), .folder = folder / "b"},
      {.process = shell("c", "true"), .after = {"a"}}};
  EXPECT_EQ(run_graph(stages, 1), (std::vector<std::string>{"b", "a", "c"}));
}

TEST_F(Launcher, WhoLosesTheRaceForAStageHasNotFailed) {
  fs::create_directories(folder / "a");
  const std::string lock = path("a/.lock");
  // What a command says of a lock that another was sooner to take (base/file_lock.h).
  const std::string loses =
      "if [ -e " + path("lost") + " ]; then exit 0; fi; touch " + path("lost") +
      "; eval \"exec 9>&$HARDMOE_TELL\"; printf '{\"locked\":\"" + lock + "\"}\\n' >&9; exit 1";
  EXPECT_EQ(run_graph({{.process = shell("a", loses), .folder = folder / "a"}}, 1),
            std::vector<std::string>{"a"});
  EXPECT_TRUE(fs::exists(folder / "lost"));
}

TEST_F(Launcher, WhatAStageTellsIsHeardThoughItsLogIsLost) {
  // As tell_listener has it: a full disk keeps the log from growing, not the pipe.
  expect_error(
      [&] {
        run({shell("a",
                   "eval \"exec 9>&$HARDMOE_TELL\"; "
                   R"(printf '{"level":"error","message":"no space left"}\n' >&9; exit 1)")},
            1);
      },
      {"a failed (exit status 1): no space left (all of it in "});
}

TEST_F(Launcher, ASignalIsPassedOn) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto interrupted_run = [&] {
    install_signal_handlers();
    const std::string wait = "; while :; do sleep 0.05; done";
    std::jthread signal([&] {
      wait_for([&] { return fs::exists(folder / "a") && fs::exists(folder / "b"); });
      ::kill(::getpid(), SIGTERM);
    });
    try {
      run({shell("saves", "trap 'exit 75' TERM; touch " + path("a") + wait),
           shell("just dies", "touch " + path("b") + wait), shell("never", "touch " + path("c"))},
          2);
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n", error.what());
      std::_Exit(fs::exists(folder / "c") ? 1 : static_cast<int>(error.status()));
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(interrupted_run(), testing::ExitedWithCode(75), "same command again");
}

TEST_F(Launcher, ChildrenStopWhenTheirStarterIsKilled) {
  const pid_t starter = ::fork();
  if (starter == 0) {
    try {
      run({shell("a", "trap 'touch " + path("stopped") + "; exit 75' TERM; touch " +
                          path("running") + "; while :; do sleep 0.05; done")},
          1);
    } catch (...) {
    }
    std::_Exit(0);
  }
  EXPECT_TRUE(wait_for([&] { return fs::exists(folder / "running"); }));
  ::kill(starter, SIGKILL);
  ::waitpid(starter, nullptr, 0);
  EXPECT_TRUE(wait_for([&] { return fs::exists(folder / "stopped"); }));
}

TEST_F(Launcher, ShellLinesSurviveAShell) {
  const std::vector<std::string> words = {
      "plain-1.2/x=y", "two words", "it's", "$HOME `id`", "", "a\"b", "é\\n*", "--set=a,b@1%"};
  EXPECT_EQ(shell_line({"a", "b c", "it's"}), "a 'b c' 'it'\\''s'");
  run({shell("a", "printf '%s\\n' " + shell_line(words))}, 1);
  EXPECT_EQ(read_file(folder / "a.txt"), join(words, "\n") + "\n");
}

}  // namespace
}  // namespace hardmoe
