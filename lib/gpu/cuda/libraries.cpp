#include "gpu/libraries.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "gpu/python_packages.h"

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

void* open_file(const std::string& file) { return dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL); }

using Folders = std::vector<std::filesystem::path>;

/// Returns the file, opened, from the packages of a Python; null if none has it.
void* open_packaged(const Folders& packages, const std::string& file) {
  const auto found = packaged_library(packages, file);
  return found ? open_file(found->string()) : nullptr;
}

/// Opens what cuDNN looks for by name alone while it runs, so that it is found then: each package
/// has a folder of its own.
void open_needs_of_cudnn(const Folders& packages) {
  for (const char* needed : {"libnvrtc.so", "libcublasLt.so", "libcublas.so"}) {
    const std::string file = fmt::format("{}.{}", needed, CUBLAS_VER_MAJOR);
    if (open_file(file) == nullptr) open_packaged(packages, file);
  }
}

struct Opened {
  void* handle = nullptr;
  std::string reason;

  explicit Opened(Library library) {
    const Names names = names_of(library);
    handle = open_file(names.file);
    if (handle != nullptr) return;
    reason = dlerror();
    if (*names.when_built != '\0') handle = open_file(names.when_built);
    if (handle == nullptr) {
      const Folders packages = package_folders(python_places());
      if (library == Library::cudnn) open_needs_of_cudnn(packages);
      handle = open_packaged(packages, names.file);
      if (handle == nullptr) reason += other_places(names, packages);
    }
    if (handle != nullptr) reason.clear();
  }

  static std::string other_places(const Names& names, const Folders& packages) {
    std::vector<std::string> places;
    if (*names.when_built != '\0') places.emplace_back(names.when_built);
    for (const auto& folder : packages) places.push_back((folder / "nvidia/*/lib").string());
    return places.empty() ? "" : fmt::format("; nor is it in {}", join(places, ", "));
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
        "--device cuda: {} cannot be loaded ({}); install it (tools/setup.sh --cuda, or PyTorch "
        "with CUDA {}), or name its folder in LD_LIBRARY_PATH",
        names.people, found.reason, CUBLAS_VER_MAJOR);
  }
  void* function = dlsym(found.handle, name);
  if (function == nullptr) {
    fail_usage("--device cuda: {} has no {}; a newer one is needed", names.file, name);
  }
  return function;
}

std::string reason_missing(Library library) { return opened(library).reason; }

}  // namespace hardmoe::cuda
