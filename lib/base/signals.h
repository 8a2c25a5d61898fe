// SIGTERM and SIGINT turned into a flag that long loops ask. A second SIGINT ends the process.
#pragma once

namespace hardmoe {

/// Installs the handlers; call once, at the start of main.
void install_signal_handlers();

/// True once SIGTERM or SIGINT arrived.
bool interrupted();

/// Throws Error(interrupted) if interrupted(): "interrupted; run the same command to resume".
/// For work that has nothing to save first.
void throw_if_interrupted();

}  // namespace hardmoe
