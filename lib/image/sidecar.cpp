#include "image/sidecar.h"

#include "base/error.h"
#include "base/files.h"
#include "image/keywords.h"
#include "image/xmp_merge.h"

namespace hardmoe {

std::filesystem::path add_to_sidecar(const std::filesystem::path& image,
                                     const std::vector<std::string>& keywords) {
  const auto there = sidecars_of(image);
  std::filesystem::path file =
      there.empty() ? std::filesystem::path(image.string() + ".xmp") : there.front();
  const std::string before = there.empty() ? "" : read_file(file);
  std::string after;
  try {
    after = with_subjects(before, keywords);
  } catch (const Error& error) {
    fail("{}: {}; nothing is written there", file.string(), error.what());
  }
  if (after != before) write_file_atomic(behind_links(file), after);
  return file;
}

}  // namespace hardmoe
