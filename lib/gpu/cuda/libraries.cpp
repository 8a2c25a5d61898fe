#include "gpu/libraries.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include "base/error.h"

namespace hardmoe::cuda {
namespace {

struct Names {
  const char* people;  ///< "cuDNN 9"
  std::string file;    ///< as the loader looks for it
  const char* when_built;
};

Names names_of(Library library) {
  switch (library) {
    case Library::cudnn:
      return {"cuDNN 9", "libcudnn.so.9", HARDMOE_LIBCUDNN};
    case Library::cublaslt:
      return {"cuBLASLt", fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR), HARDMOE_LIBCUBLASLT};
    case Library::cublas:
      return {"cuBLAS", fmt::format("libcublas.so.{}", CUBLAS_VER_MAJOR), HARDMOE_LIBCUBLAS};
  }
  fail("no such library");
}

struct Opened {
  void* handle = nullptr;
  std::string reason;

  explicit Opened(Library library) {
    const Names names = names_of(library);
    handle = dlopen(names.file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) return;
    reason = dlerror();
    handle = dlopen(names.when_built, RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) reason.clear();
  }
};

/// Opened once and never closed: the libraries keep threads and device memory of their own.
const Opened& opened(Library library) {
  if (library == Library::cudnn) {
    static const Opened cudnn(library);
    return cudnn;
  }
  if (library == Library::cublaslt) {
    static const Opened cublaslt(library);
    return cublaslt;
  }
  static const Opened cublas(library);
  return cublas;
}

}  // namespace

void* function_of(Library library, const char* name) {
  const Names names = names_of(library);
  const Opened& found = opened(library);
  if (found.handle == nullptr) {
    fail_usage(
        "--device cuda: {} cannot be loaded ({}); install it (tools/setup.sh --cuda), or name its "
        "folder in LD_LIBRARY_PATH",
        names.people, found.reason);
  }
  void* function = dlsym(found.handle, name);
  if (function == nullptr) {
    fail_usage("--device cuda: {} has no {}; a newer one is needed", names.file, name);
  }
  return function;
}

std::string reason_missing(Library library) { return opened(library).reason; }

}  // namespace hardmoe::cuda
