// NVIDIA's libraries as pip installs them, beside PyTorch for example: nvidia/cudnn/lib and the like in a
// Python's packages, where the dynamic loader does not look.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hardmoe {

/// The Pythons that may have such packages.
struct PythonPlaces {
  std::vector<std::filesystem::path> prefixes;     ///< of environments, such as a venv's folder
  std::vector<std::filesystem::path> executables;  ///< folders that may hold a python3
};

/// Returns what the environment names: VIRTUAL_ENV, CONDA_PREFIX and ~/.local; PATH.
PythonPlaces python_places();

/// Returns the folders of packages of these Pythons, such as /usr/lib/python3/dist-packages, each once.
/// What may not be read is left out.
std::vector<std::filesystem::path> package_folders(const PythonPlaces& places);

/// Returns the first file of this name in nvidia/*/lib of the folders; nothing if none has it.
std::optional<std::filesystem::path> packaged_library(
    const std::vector<std::filesystem::path>& folders, const std::string& file);

}  // namespace hardmoe
