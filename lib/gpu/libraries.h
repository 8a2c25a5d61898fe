// Loads cuDNN, cuBLASLt and cuBLAS when a GPU is first used, so that commands start on machines
// without them. Looks in the dynamic loader's search path, where the library was when this was built,
// and in the packages of the Pythons of this environment (python_packages.h), as PyTorch brings them.
#pragma once

#include <string>

namespace hardmoe::cuda {

enum class Library { cudnn, cublaslt, cublas };

/// Returns the address of a library's function. Throws Error(usage) if the library cannot be
/// loaded, with the reason and where it was looked for, or lacks the function.
void* function_of(Library library, const char* name);

/// Sets `function`, a function pointer, to the library's function of that name. Throws as
/// function_of() does.
template <class Function>
void find_function(Library library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(function_of(library, name));
}

/// Returns why the library cannot be loaded; empty if it can.
std::string reason_missing(Library library);

}  // namespace hardmoe::cuda
