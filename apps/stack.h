// The stack that programs and libraries expect.
#pragma once

namespace hardmoe {

/// Raises the limit of this process's stack, and the size of its threads', to 8 MiB, if it is lower
/// and may be raised. Throws Error(usage) if less than 1 MiB can be had.
void require_stack();

}  // namespace hardmoe
