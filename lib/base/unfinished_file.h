// A file that is being written under another name, until it is complete. Most use AtomicFile
// (base/files.h).
#pragma once

#include <filesystem>

#include "base/open_file.h"

namespace hardmoe {

/// Opens FILE.PID.tmp, empty, for writing, and holds a lock on it while it is open, by which others
/// see that it is being written. First removes such files of FILE that nobody writes: a killed process
/// left them. Throws Error as OpenFile does.
OpenFile open_unfinished(const std::filesystem::path& file);

/// Returns the name that open_unfinished gives: FILE.PID.tmp.
std::filesystem::path unfinished_name(const std::filesystem::path& file);

/// Returns FILE for FILE.PID.tmp, any other name unchanged.
std::string finished_name(const std::string& name);

}  // namespace hardmoe
