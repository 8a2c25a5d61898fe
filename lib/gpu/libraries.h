// cuDNN, cuBLASLt and cuBLAS are opened when a GPU is first used, so that commands start on
// machines without them: by the loader's own search path, then from where they were when this was
// built.
#pragma once

#include <string>

namespace hardmoe::cuda {

enum class Library { cudnn, cublaslt, cublas };

/// A function of the library. Throws Error(usage) if the library cannot be loaded, saying why, or
/// has no such function.
void* function_of(Library library, const char* name);

/// Sets `function`, a pointer, to the library's function of that name; throws as function_of().
template <class Function>
void find_function(Library library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(function_of(library, name));
}

/// Why the library cannot be loaded; empty if it can.
std::string reason_missing(Library library);

}  // namespace hardmoe::cuda
