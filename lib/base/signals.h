// Turns the signals that end a process into a flag that long loops check: SIGTERM, SIGINT, SIGUSR1
// (which cluster schedulers send before the end) and SIGHUP (a closed terminal; unless nohup ignores
// it). A second SIGINT ends the process at once; a checkpoint is gone on from even so.
#pragma once

namespace hardmoe {

/// Installs the handlers; call once, at the start of main. Also undoes what a parent may have left
/// that a program does not expect: these signals blocked, or SIGCHLD ignored, so that no child could
/// be waited for.
void install_signal_handlers();

/// Returns whether one of them arrived.
bool interrupted();

/// Throws Error(interrupted) "interrupted; run the same command to resume" if interrupted(). For
/// loops that have nothing to save first.
void throw_if_interrupted();

}  // namespace hardmoe
