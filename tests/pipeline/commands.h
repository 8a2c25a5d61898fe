// The built commands run as a user runs them, and a small dataset on which learning shows.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "image/codec.h"
#include "killed_process.h"
#include "temporary_folder.h"

namespace hardmoe {

namespace fs = std::filesystem;

/// How a command ended.
struct Outcome {
  int status = 0;  ///< 128 + signal if one killed it
  std::string out, err;
  int64_t peak_bytes = 0;  ///< of memory, of a line that is `exec COMMAND …`
};

/// A shell line running in `folder`, with the built commands on its path and two threads each.
class Running {
 public:
  Running(const fs::path& folder, const std::string& line) {
    static int count = 0;
    const std::string name = fmt::format("output-{}-", ++count);
    out_ = folder / (name + "1");
    err_ = folder / (name + "2");
    for (const auto& file : {out_, err_})
      std::ofstream(file).flush();  // there, however soon it ends
    pid_ = ::fork();
    if (pid_ != 0) return;
    const fs::path commands = fs::read_symlink("/proc/self/exe").parent_path();  // beside this
    const std::string path = commands.string() + ":" + ::getenv("PATH");
    ::setenv("PATH", path.c_str(), 1);
    ::setenv("OMP_NUM_THREADS", "2", 1);
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    ::signal(SIGHUP, SIG_DFL);  // whatever runs the tests
    const bool ready = ::chdir(folder.c_str()) == 0 && redirect("/dev/null", O_RDONLY, 0) &&
                       redirect(out_.c_str(), O_WRONLY | O_CREAT, 1) &&
                       redirect(err_.c_str(), O_WRONLY | O_CREAT, 2);
    if (ready) ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(126);
  }
  ~Running() {
    if (pid_ > 0) static_cast<void>(end(SIGKILL));
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  Outcome wait() {
    int status = 0;
    struct rusage usage = {};
    ::wait4(pid_, &status, 0, &usage);
    pid_ = 0;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out_),
            read_file(err_), int64_t{usage.ru_maxrss} * 1024};
  }
  Outcome end(int signal) {
    ::kill(pid_, signal);
    return wait();
  }
  Outcome end_twice(int signal) {
    ::kill(pid_, signal);
    ::kill(pid_, signal);
    return wait();
  }
  /// Waits until it holds, at most while the command runs; false if it never did.
  bool reaches(const std::function<bool()>& condition) const {
    while (!condition()) {
      siginfo_t info = {};
      ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
      if (info.si_pid != 0) return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

 private:
  static bool redirect(const char* file, int flags, int descriptor) {
    const int opened = ::open(file, flags | O_CLOEXEC, 0644);
    return opened >= 0 && ::dup2(opened, descriptor) == descriptor;
  }
  pid_t pid_ = 0;
  fs::path out_, err_;
};

inline Outcome run(const fs::path& folder, const std::string& line) {
  return Running(folder, line).wait();
}

/// The names of all built commands.
inline std::vector<std::string> command_names() {
  std::vector<std::string> names;
  const fs::path beside = fs::read_symlink("/proc/self/exe").parent_path();
  for (const auto& entry : fs::directory_iterator(beside)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("moe-")) names.push_back(name);
  }
  EXPECT_GE(names.size(), 19U);
  return names;
}

/// Runs a command that is killed before the n-th change it makes to files. As run_until_change.
inline int run_until_change(const fs::path& folder, const std::string& line, int n) {
  const fs::path commands = fs::read_symlink("/proc/self/exe").parent_path();
  return run_until_change(n, [&] {
    auto words = split(line, ' ');
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::setenv("OMP_NUM_THREADS", "2", 1);
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    const int nowhere = ::open("/dev/null", O_RDWR);
    for (int stream = 0; stream <= 2; ++stream) ::dup2(nowhere, stream);
    if (::chdir(folder.c_str()) == 0) ::execv((commands / words[0]).c_str(), arguments.data());
    ::_exit(126);
  });
}

/// Changes the file's bytes at [at, at + 4).
inline void flip_four_bytes(const fs::path& file, size_t at) {
  std::string bytes = read_file(file);
  for (size_t i = at; i < at + 4; ++i) bytes.at(i) = static_cast<char>(bytes.at(i) ^ 1);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

/// Runs a line that must succeed; its standard output.
inline std::string output_of(const fs::path& folder, const std::string& line) {
  const Outcome outcome = run(folder, line);
  EXPECT_EQ(outcome.status, 0) << line << "\n" << outcome.err;
  return outcome.out;
}

inline constexpr const char* colour_names[] = {"red", "green", "blue", "yellow"};
inline constexpr const char* shape_names[] = {"square", "stripe"};

/// 16×16 pixels: a square or a stripe of one of four colours, somewhere on noise.
inline Tensor picture(int colour, int shape, Random& random) {
  constexpr uint8_t colours[4][3] = {{220, 30, 30}, {30, 200, 30}, {30, 30, 220}, {220, 220, 30}};
  Tensor image(DType::u8, {16, 16, 3});
  const auto pixels = image.as<uint8_t>();
  for (auto& value : pixels) value = static_cast<uint8_t>(80 + random.below(80));
  const size_t top = random.below(8), left = shape == 0 ? random.below(8) : 0;
  for (size_t y = top; y < top + (shape == 0 ? 8 : 4); ++y) {
    for (size_t x = left; x < left + (shape == 0 ? 8 : 16); ++x) {
      for (size_t c = 0; c < 3; ++c) pixels[(y * 16 + x) * 3 + c] = colours[colour][c];
    }
  }
  return image;
}

/// FOLDER/images.jsonl and the pictures it names: each tagged with its colour and shape, one in
/// eight wrongly; "truth" has them right. `shift` names other tags.
inline void write_pictures(const fs::path& folder, int count, const std::string& prefix = "") {
  fs::create_directories(folder / "pictures");
  std::ofstream lines(folder / "images.jsonl");
  Random random(1, RandomUse::test);
  for (int i = 0; i < count; ++i) {
    const int colour = i % 4, shape = i / 4 % 2;
    const std::string name = fmt::format("pictures/{:04}.png", i);
    std::ofstream(folder / name, std::ios::binary) << encode_png(picture(colour, shape, random));
    const int tagged = random.below(8) == 0 ? (colour + 1) % 4 : colour;
    lines << Json{{"image", name},
                  {"tags", {prefix + colour_names[tagged], prefix + shape_names[shape]}},
                  {"truth", {prefix + colour_names[colour], prefix + shape_names[shape]}}}
                 .dump()
          << "\n";
  }
}

/// A configuration that learns this in seconds.
inline constexpr const char* small_config = R"(
model: {depth: 18, stem: small, width: 8, image_size: 16}
base: {epochs: 6, batch: 32, lr: 0.05, log_every: 1, augment: {crop: pad, padding: 2}}
partition: {experts: 2, pca: 8}
expert: {epochs: 2, batch: 32, lr: 0.02, augment: {crop: pad, padding: 2}}
decoder: {epochs: 2, batch: 32, lr: 0.1}
)";

}  // namespace hardmoe
