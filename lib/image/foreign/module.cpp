#include "image/foreign/module.h"

#include <dlfcn.h>

#include <filesystem>

#include "base/error.h"
#include "base/folders.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* module_name = "hardmoe/modules/foreign_images.so";

struct Loaded {
  const ForeignCodecs* codecs = nullptr;
  std::string why;
};

/// From ../lib beside the program, where the build and the installation put it.
Loaded load() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path file = (program.parent_path() / "../lib" / module_name).lexically_normal();
  if (error || path_kind(file) != PathKind::file) {
    return {nullptr, fmt::format("there is no {}", file.string())};
  }
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed
  const auto* codecs =
      handle == nullptr
          ? nullptr
          : static_cast<const ForeignCodecs*>(dlsym(handle, "hardmoe_foreign_codecs"));
  if (codecs == nullptr) return {nullptr, dlerror()};
  if (codecs->interface != foreign_interface) {
    return {nullptr, fmt::format("{} is of another version", file.string())};
  }
  return {codecs, {}};
}

}  // namespace

const ForeignCodecs* foreign_codecs(std::string& why) {
  static const Loaded loaded = load();
  why = loaded.why;
  return loaded.codecs;
}

}  // namespace hardmoe
