// What a test may use from outside the repository, each by an environment variable of its own:
//
//   HARDMOE_TINYTAGS       folder of tinytags-train-000.tar          unset: the test is skipped
//   HARDMOE_WORDNET        folder of WordNet's data.noun             unset: /usr/share/wordnet
//   HARDMOE_FASHION_MNIST  folder of t10k-images-idx3-ubyte.gz       unset: Debian's
//   HARDMOE_PYTHON         a python3, for readers other than ours    unset: the PATH's, /usr/bin's
//
// and chromium, rsvg-convert, mandoc, groff, bash, fish and zsh from the PATH (program_on_path).
//
// A test that does not find what it needs is skipped, and says which variable names it, or what it
// needs.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace hardmoe {

/// A file or folder outside the repository.
struct Outside {
  std::filesystem::path path;
  std::string missing;  ///< why there is none, for GTEST_SKIP; empty where it exists
};

/// `name` in the folder that the environment's `variable` names, or, where that is unset, in
/// `usual`.
inline Outside outside(const char* variable, const std::string& name,
                       const std::filesystem::path& usual = {}) {
  const char* named = std::getenv(variable);
  const std::filesystem::path folder = named != nullptr ? named : usual;
  if (folder.empty()) return {{}, std::string(variable) + " is not set to the folder of " + name};
  if (!std::filesystem::exists(folder / name)) {
    return {{}, (folder / name).string() + " is not there; " + variable + " names another folder"};
  }
  return {folder / name, ""};
}

/// A program on the PATH. `package`: Debian's that has it.
inline Outside program_on_path(const std::string& name, const std::string& package) {
  if (std::system(("command -v " + name + " > /dev/null").c_str()) == 0) return {name, ""};
  return {{}, "needs " + name + " on the PATH (Debian's package " + package + ")"};
}

/// A python3 that can import `modules` ("numpy, torch"), quoted for a shell.
inline Outside python_with(const std::string& modules) {
  const char* named = std::getenv("HARDMOE_PYTHON");
  for (const std::string python : {named != nullptr ? named : "python3", "/usr/bin/python3"}) {
    const std::string quoted = "'" + python + "'";
    if (std::system((quoted + " -c 'import " + modules + "' 2> /dev/null").c_str()) == 0) {
      return {quoted, ""};
    }
    if (named != nullptr) break;
  }
  return {{}, "needs a python3 with " + modules + "; HARDMOE_PYTHON names one"};
}

}  // namespace hardmoe
