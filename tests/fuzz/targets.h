// Readers of bytes that others made, each as a function that takes any bytes: for libFuzzer
// (libfuzzer.cpp, the preset "fuzz") and, over stored seeds, for every run of the tests
// (seeds_test.cpp). A new reader of foreign bytes belongs into targets.cpp, or into models/targets.cpp if
// it takes the rooms that train; each list is a program's.
#pragma once

#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace hardmoe {

struct FuzzTarget {
  std::string_view name;
  std::string_view seeds;                    ///< folder below tests/files
  std::vector<std::string_view> extensions;  ///< of the seeds there: ".tar"
  /// Reads the bytes. Error says that they are damaged, and is right; whatever else is thrown is a
  /// fault of ours.
  void (*read)(std::string_view bytes);
};

/// The program's targets.
const std::vector<FuzzTarget>& fuzz_targets();

/// Throws std::invalid_argument if there is none of that name.
const FuzzTarget& fuzz_target(std::string_view name);

/// Files of the target's seeds, in the order of their names.
std::vector<std::filesystem::path> seeds_of(const FuzzTarget& target);

/// Calls read and passes over hardmoe::Error.
void read_damaged(const FuzzTarget& target, std::string_view bytes);

/// Calls read() and passes over hardmoe::Error, so that what comes after it is read as well.
template <class Read>
void or_refused(const Read& read) {
  try {
    read();
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): it is right
  }
}

/// Throws std::logic_error, which is no Error, unless `holds`.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void fuzz_tar(std::string_view bytes);
void fuzz_npy(std::string_view bytes);
void fuzz_safetensors(std::string_view bytes);
void fuzz_json(std::string_view bytes);
void fuzz_list_text(std::string_view bytes);
void fuzz_csv(std::string_view bytes);
void fuzz_tsv(std::string_view bytes);
void fuzz_json_lines(std::string_view bytes);
void fuzz_packed(std::string_view bytes);
void fuzz_webdataset(std::string_view bytes);
void fuzz_cifar(std::string_view bytes);
void fuzz_idx(std::string_view bytes);
void fuzz_yfcc100m(std::string_view bytes);
void fuzz_wordnet(std::string_view bytes);
void fuzz_tag_rules(std::string_view bytes);
void fuzz_config(std::string_view bytes);
void fuzz_dataset(std::string_view bytes);
void fuzz_stage(std::string_view bytes);
void fuzz_xmp(std::string_view bytes);
void fuzz_xmp_merge(std::string_view bytes);
void fuzz_exif(std::string_view bytes);
void fuzz_metadata(std::string_view bytes);
void fuzz_decode(std::string_view bytes);
void fuzz_foreign_header(std::string_view bytes);

}  // namespace hardmoe
