// Turns SIGTERM and SIGINT into a flag that long loops check. A second SIGINT ends the process.
#pragma once

namespace hardmoe {

/// Installs the handlers; call once, at the start of main.
void install_signal_handlers();

/// Returns whether SIGTERM or SIGINT arrived.
bool interrupted();

/// Throws Error(interrupted) "interrupted; run the same command to resume" if interrupted(). For
/// loops that have nothing to save first.
void throw_if_interrupted();

}  // namespace hardmoe
