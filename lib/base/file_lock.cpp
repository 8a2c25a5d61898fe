#include "base/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file_system.h"
#include "base/printable.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* nobody_known = "another process";

/// Returns the number of Slurm's job, such as "12_3" for a task of an array; "" outside of one.
std::string job_name() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const std::string array = variable("SLURM_ARRAY_JOB_ID"), task = variable("SLURM_ARRAY_TASK_ID");
  return array.empty() || task.empty() ? variable("SLURM_JOB_ID") : array + "_" + task;
}

std::string this_process() {
  std::array<char, 256> host = {};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  const std::string job = job_name();
  return fmt::format("process {} on {}{}", ::getpid(), host.data(),
                     job.empty() ? "" : ", Slurm job " + job);
}

/// Writes into the file whose lock it is. That is for people: a full disk is no fault here.
void sign(int descriptor) {
  const std::string text = this_process() + "\n";
  if (system_files().truncate(descriptor, 0) != 0) return;
  static_cast<void>(system_files().write_at(descriptor, text.data(), text.size(), 0));
}

std::string signature(int descriptor) {
  std::array<char, 512> text;
  const ssize_t count = uninterrupted(
      [&] { return system_files().read_at(descriptor, text.data(), text.size(), 0); });
  if (count <= 0) return nobody_known;
  const std::string name(trim(std::string_view(text.data(), static_cast<size_t>(count))));
  return name.empty() ? nobody_known : printable(name);
}

}  // namespace

FileLock::FileLock(const fs::path& file, std::string_view what) {
  const int descriptor =
      uninterrupted([&] { return file_system().open(file, O_RDWR | O_CREAT, 0644); });
  if (descriptor < 0) fail("locking {}: {}", file.string(), std::strerror(errno));
  file_ = OpenFile::of(descriptor, file);
  if (uninterrupted([&] { return file_system().lock(descriptor); }) == 0) {
    sign(descriptor);
    return;
  }
  if (errno != EWOULDBLOCK) fail("locking {}: {}", file.string(), std::strerror(errno));
  fail("{} is being written by {} (lock {}); wait for it or stop it", what, signature(descriptor),
       file.string());
}

std::string lock_holder(const fs::path& file) {
  const int descriptor = uninterrupted([&] { return file_system().open(file, O_RDONLY, 0); });
  if (descriptor < 0) return "";
  const OpenFile opened = OpenFile::of(descriptor, file);
  const bool free = uninterrupted([&] { return file_system().lock(descriptor); }) == 0;
  return free || errno != EWOULDBLOCK ? "" : signature(descriptor);
}

}  // namespace hardmoe
