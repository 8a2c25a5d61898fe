#include "base/lock_signature.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "base/file_system.h"
#include "base/printable.h"
#include "base/text.h"

namespace hardmoe {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Returns the number of Slurm's job, such as "12_3" for a task of an array; "" outside of one.
std::string job_name() {
  const std::string array = variable("SLURM_ARRAY_JOB_ID"), task = variable("SLURM_ARRAY_TASK_ID");
  return array.empty() || task.empty() ? variable("SLURM_JOB_ID") : array + "_" + task;
}

std::string node_name() {
  const std::string node = variable("SLURMD_NODENAME");
  if (!node.empty()) return node;
  std::array<char, 256> host = {};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return host.data();
}

}  // namespace

std::string process_name() {
  const std::string job = job_name();
  return fmt::format("process {} on {}{}", ::getpid(), node_name(),
                     job.empty() ? "" : ", Slurm job " + job);
}

void sign_lock(int descriptor) {
  const std::string text = process_name() + "\n";
  if (system_files().truncate(descriptor, 0) != 0) return;
  static_cast<void>(system_files().write_at(descriptor, text.data(), text.size(), 0));
}

std::string lock_signature(int descriptor) {
  constexpr const char* nobody_known = "another process";
  std::array<char, 512> text;
  const ssize_t count = uninterrupted(
      [&] { return system_files().read_at(descriptor, text.data(), text.size(), 0); });
  if (count <= 0) return nobody_known;
  const std::string name(trim(std::string_view(text.data(), static_cast<size_t>(count))));
  return name.empty() ? nobody_known : printable(name);
}

}  // namespace hardmoe
