// Turns SIGTERM, SIGINT and SIGHUP (a closed terminal; unless nohup ignores it) into a flag that long
// loops check. A second SIGINT ends the process.
#pragma once

namespace hardmoe {

/// Installs the handlers; call once, at the start of main.
void install_signal_handlers();

/// Returns whether one of them arrived.
bool interrupted();

/// Throws Error(interrupted) "interrupted; run the same command to resume" if interrupted(). For
/// loops that have nothing to save first.
void throw_if_interrupted();

}  // namespace hardmoe
