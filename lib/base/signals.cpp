#include "base/signals.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace hardmoe {
namespace {
volatile std::sig_atomic_t stop_requested = 0;

void on_signal(int number) {
  if (stop_requested != 0 && number == SIGINT) {
    constexpr std::string_view text =
        "interrupted twice, so nothing more is saved; run the same command again to resume\n";
    static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
    std::_Exit(static_cast<int>(ExitStatus::interrupted));
  }
  stop_requested = 1;
}
}  // namespace

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;  // by nohup
    sigaction(signal, &action, nullptr);
    sigaddset(&ends, signal);
  }
  sigprocmask(SIG_UNBLOCK, &ends, nullptr);
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &standard, nullptr);
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  sigaction(SIGXFSZ, &ignore, nullptr);  // exceeding a file-size limit then makes write() fail
}

bool interrupted() { return stop_requested != 0; }

void throw_if_interrupted() {
  if (interrupted()) {
    throw Error("interrupted; run the same command again to resume", ExitStatus::interrupted);
  }
}

}  // namespace hardmoe
