// Where the stored references are: tests/files of the source tree the tests were built from, or the
// folder that the environment's HARDMOE_TEST_FILES names, where the tests run on another machine.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace hardmoe {

inline std::filesystem::path test_files() {
  const char* moved = std::getenv("HARDMOE_TEST_FILES");
  return moved != nullptr ? moved : HARDMOE_TEST_FILES;
}

/// The folder of the sources, beside tests/; it may not be there where the tests run elsewhere.
inline std::filesystem::path repository() { return test_files() / "../.."; }

inline std::string test_file(const std::string& name) { return test_files() / name; }

}  // namespace hardmoe
