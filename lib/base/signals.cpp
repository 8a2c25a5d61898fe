#include "base/signals.h"

#include <csignal>

#include "base/error.h"

namespace hardmoe {
namespace {
volatile std::sig_atomic_t stop_requested = 0;

void on_signal(int number) {
  if (stop_requested != 0 && number == SIGINT) std::_Exit(130);
  stop_requested = 1;
}
}  // namespace

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  struct sigaction before = {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // nohup ignores it
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
