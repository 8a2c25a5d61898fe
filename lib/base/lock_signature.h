// What a locked file says of the process that holds it: "process 4711 on HOST, Slurm job 12_3".
#pragma once

#include <string>

namespace hardmoe {

/// Returns "process 4711 on HOST, Slurm job 12_3" for this process: the cluster's name of the node, if
/// it has one, else the machine's, and the job, of an array with its task, if it belongs to one.
std::string process_name();

/// Writes whose it is into a file that this process has locked. It is for people: a full disk is no
/// fault.
void sign_lock(int descriptor);

/// Returns what the file says, or "another process" where it says nothing.
std::string lock_signature(int descriptor);

}  // namespace hardmoe
