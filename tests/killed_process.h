// A process killed at a chosen moment: right before the n-th change it makes to the file system.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>

namespace hardmoe {

/// Names, contents and lengths of files; those of the C library on x86-64 and AArch64.
inline bool changes_files(const __ptrace_syscall_info& info) {
  constexpr std::array changing = {
#ifdef SYS_unlink
      SYS_unlink,    SYS_rmdir,    SYS_rename,    SYS_mkdir,   SYS_link,
#endif
      SYS_unlinkat,  SYS_renameat, SYS_renameat2, SYS_mkdirat, SYS_linkat,
      SYS_ftruncate, SYS_pwrite64};
  const auto number = static_cast<long>(info.entry.nr);
  if (number == SYS_openat) return (info.entry.args[2] & (O_CREAT | O_TRUNC)) != 0;
  if (number == SYS_write) return info.entry.args[0] > 2;
  return std::find(changing.begin(), changing.end(), number) != changing.end();
}

/// Runs `child`, which ends its process, and kills that before its n-th change (from 1; of its
/// first thread). Its exit status; 128 + signal where one killed it; -1 where processes may not be
/// traced.
inline int run_until_change(int n, const std::function<void()>& child) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(99);
    ::raise(SIGSTOP);
    child();
    ::_exit(0);
  }
  int status = 0, changes = 0;
  ::waitpid(pid, &status, 0);
  if (!WIFSTOPPED(status)) return -1;
  constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, options);
  long signal = 0;
  while (::ptrace(PTRACE_SYSCALL, pid, nullptr, signal) == 0 && ::waitpid(pid, &status, 0) == pid) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    signal = WSTOPSIG(status);
    if (signal == SIGTRAP) signal = 0;  // it became another program
    if (signal != (SIGTRAP | 0x80)) continue;
    signal = 0;
    __ptrace_syscall_info info = {};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return -1;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_files(info) || ++changes < n) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
    return 128 + WTERMSIG(status);
  }
  return -1;
}

}  // namespace hardmoe
