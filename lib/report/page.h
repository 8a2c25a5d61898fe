// The page of a report as it grows: markup, and the pictures in it, which may also be written as
// files. One page stands alone: no script, no font, no image from elsewhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "draw/html.h"
#include "draw/picture.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// A picture of the page, for a file.
struct PagePicture {
  std::string name;   ///< without an extension; unique in the page
  std::string svg;    ///< a drawing as a file of its own; empty for an image
  Tensor image = {};  ///< uint8 H×W×3; empty for a drawing
};

class Page {
 public:
  /// Begins a part of the page under a heading of level 2 to 4. Those of level 2 and 3 are listed
  /// at the page's top.
  void heading(int level, std::string_view text);
  void text(std::string_view sentence) { body_ += paragraph(sentence); }
  /// Adds a remark on how something was computed, or on what is missing.
  void note(std::string_view sentence) { body_ += paragraph(sentence, "note"); }
  void list(const std::vector<std::string>& sentences);
  void table(std::string_view caption, const std::vector<std::vector<std::string>>& rows,
             TableCells cells = TableCells::numbers) {
    body_ += html_table(caption, rows, cells);
  }
  /// Adds drawings side by side, as many as there is room for, each with its description below.
  void drawings(const std::vector<Picture>& pictures);
  /// Adds an image (uint8 H×W×3) as JPEG. An empty one is left out.
  void image(const std::string& name, std::string_view description, const Tensor& image);
  /// Adds small images with texts below them. An empty image is a grey square.
  struct Captioned {
    Tensor image;
    std::vector<std::string> lines;
  };
  void gallery(const std::vector<Captioned>& images);

  /// Names of pictures begin with this from now on: small letters, digits and hyphens.
  void set_picture_prefix(std::string prefix) { prefix_ = std::move(prefix); }

  /// Returns the whole document.
  std::string html(std::string_view title, std::string_view subtitle) const;
  const std::vector<PagePicture>& pictures() const { return pictures_; }

 private:
  std::string unique_name(const std::string& name) const;

  std::string body_, contents_, prefix_;
  int headings_ = 0;
  std::vector<PagePicture> pictures_;
};

/// Returns a text as part of a file's name: small letters, digits, and hyphens for all else.
std::string file_word(std::string_view text);

}  // namespace hardmoe
