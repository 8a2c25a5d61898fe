#include "report/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/version.h"
#include "image/codec.h"
#include "report/style.h"

namespace hardmoe {
namespace {

constexpr int jpeg_quality = 80;

std::string jpeg_uri(const Tensor& image) {
  return data_uri("image/jpeg", encode_jpeg(image, jpeg_quality));
}

}  // namespace

void Page::heading(int level, std::string_view text) {
  const std::string id = fmt::format("part-{}", ++headings_);
  body_ += fmt::format("<h{0} id=\"{1}\">{2}</h{0}>\n", level, id, escape_markup(text));
  if (level > 3) return;
  const std::string link = element("a", escape_markup(text), fmt::format("href=\"#{}\"", id));
  contents_ += element("li", link, level == 2 ? "class=\"chapter\"" : "");
}

void Page::list(const std::vector<std::string>& sentences) {
  if (sentences.empty()) return;
  std::string items;
  for (const auto& sentence : sentences) items += element("li", escape_markup(sentence)) + "\n";
  body_ += element("ul", items) + "\n";
}

std::string Page::unique_name(const std::string& name) const {
  const std::string wanted = prefix_ + name;
  std::string found = wanted;
  const auto taken = [&] {
    return std::ranges::find(pictures_, found, &PagePicture::name) != pictures_.end();
  };
  for (int n = 2; taken(); ++n) {
    found = fmt::format("{}-{}", wanted, n);
  }
  return found;
}

void Page::drawings(const std::vector<Picture>& pictures) {
  std::string figures;
  for (const Picture& picture : pictures) {
    const std::string caption = element("figcaption", escape_markup(picture.description));
    figures += element("figure", inline_svg(picture) + caption,
                       fmt::format("style=\"max-width:{}px\"", picture.width)) +
               "\n";
    pictures_.push_back({unique_name(picture.name), standalone_svg(picture)});
  }
  body_ += element("div", figures, "class=\"side-by-side\"") + "\n";
}

void Page::image(const std::string& name, std::string_view description, const Tensor& image) {
  if (image.elements() == 0) return;
  const std::string tag =
      fmt::format("<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\"/>", jpeg_uri(image),
                  image.size(1), image.size(0), escape_markup(description));
  const std::string caption = element("figcaption", escape_markup(description));
  body_ += element("figure", tag + caption) + "\n";
  pictures_.push_back({unique_name(name), {}, image});
}

void Page::gallery(const std::vector<Captioned>& images) {
  std::string figures;
  for (const auto& [image, lines] : images) {
    std::string caption, alt;
    for (const auto& line : lines) {
      caption += element("span", escape_markup(line));
      if (alt.empty()) alt = escape_markup(line);
    }
    const std::string tag =
        image.elements() == 0
            ? "<span class=\"blank\"></span>"
            : fmt::format("<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\"/>",
                          jpeg_uri(image), image.size(1), image.size(0), alt);
    figures += element("figure", tag + element("figcaption", caption)) + "\n";
  }
  body_ += element("div", figures, "class=\"gallery\"") + "\n";
}

std::string Page::html(std::string_view title, std::string_view subtitle) const {
  const std::string head =
      "<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n" +
      element("title", escape_markup(title)) + "\n" + element("style", page_style()) + "\n";
  const std::string top =
      element("header", element("h1", escape_markup(title)) + paragraph(subtitle, "note")) +
      element("nav", element("ul", contents_), "aria-label=\"Contents\"");
  const std::string foot =
      element("footer", escape_markup(fmt::format("Made by moe-report (hardmoe {}).", version)));
  return "<!DOCTYPE html>\n" +
         element(
             "html",
             element("head", head) + "\n" + element("body", top + element("main", body_) + foot),
             "lang=\"en\"") +
         "\n";
}

std::string file_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool plain = (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9');
    if (plain) {
      word += small;
    } else if (!word.empty() && word.back() != '-') {
      word += '-';
    }
  }
  while (word.ends_with('-')) word.pop_back();
  return word;
}

}  // namespace hardmoe
