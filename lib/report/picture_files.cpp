#include "report/picture_files.h"

#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/signals.h"
#include "base/text.h"
#include "image/codec.h"
#include "run/child_process.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* program = "rsvg-convert";

bool is_on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const auto& folder : split(path == nullptr ? "" : path, ':')) {
    if (!folder.empty() && path_kind(fs::path(folder) / name) == PathKind::file) return true;
  }
  return false;
}

/// Rasterises a drawing. Nothing in between has a name, so that a kill leaves nothing.
void convert(const PagePicture& picture, const fs::path& file) {
  const fs::path beside = fs::temp_directory_path() / "moe-report";
  TemporaryFile svg(beside), png(beside), log(beside);
  svg.write_at(0, picture.svg.data(), picture.svg.size());
  const pid_t process =
      start_process({program,
                     {program, "--zoom=2", "--output=" + png.path().string(), svg.path().string()},
                     log.path()});
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  throw_if_interrupted();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || file_size_of(png.path()) == 0) {
    fail("{}: {} could not draw it: {}", file.string(), program, last_message(log.path()));
  }
  copy_file_atomic(png.path(), file);
}

}  // namespace

void require_picture_files(const fs::path& folder) {
  if (!is_on_path(program)) {
    fail_usage("--png: needs {} (Debian's package librsvg2-bin); install it, or leave --png out",
               program);
  }
  make_writable_folder(folder);
}

std::vector<fs::path> write_picture_files(const fs::path& folder,
                                          const std::vector<PagePicture>& pictures) {
  std::vector<fs::path> files;
  for (const PagePicture& picture : pictures) {
    throw_if_interrupted();
    const fs::path file = folder / (picture.name + ".png");
    if (picture.svg.empty()) {
      write_file_atomic(file, encode_png(picture.image));
    } else {
      convert(picture, file);
    }
    files.push_back(file);
  }
  return files;
}

}  // namespace hardmoe
