#include "tasks/sheet_file.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"
#include "image/codec.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr int jpeg_quality = 85;

bool is_png(const fs::path& file) { return fold_case(file.extension().string()) == ".png"; }

}  // namespace

void check_sheet_file(const fs::path& file) {
  const std::string extension = fold_case(file.extension().string());
  if (!is_png(file) && extension != ".jpg" && extension != ".jpeg") {
    fail_usage("--contact-sheet {}: expected a name that ends in .png or .jpg", file.string());
  }
  make_writable_folder(file.has_parent_path() ? file.parent_path() : ".");
}

void write_sheet(const fs::path& file, const Tensor& sheet) {
  write_file_atomic(behind_links(file),
                    is_png(file) ? encode_png(sheet) : encode_jpeg(sheet, jpeg_quality));
}

}  // namespace hardmoe
