#pragma once

namespace hardmoe::cuda {

/// Makes GPU `number` the thread's current one. Throws Error(usage) if there is no such GPU, no
/// driver, if it is older than oldest_capability, or if another process holds it alone.
void choose_device(int number);

}  // namespace hardmoe::cuda
