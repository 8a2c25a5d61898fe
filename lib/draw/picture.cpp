#include "draw/picture.h"

#include <fmt/format.h>

#include <array>

#include "draw/html.h"

namespace hardmoe {
namespace {

/// Colours that stay apart for people who see red and green alike, and on paper: those of Okabe &
/// Ito 2008, darkened on white and lightened on black until each has a contrast of 3 to 1 or more.
struct Palette {
  const char *paper, *ink, *quiet, *grid;
  std::array<const char*, series_colours> series;
};

constexpr Palette light = {
    "#ffffff",
    "#1b1f24",
    "#5b6470",
    "#dde1e6",
    {"#0072b2", "#d55e00", "#00835f", "#a63d82", "#8a6d00", "#2b8fc4", "#7a1f4d", "#4d4d4d"}};
constexpr Palette dark = {
    "#14171b",
    "#e8eaed",
    "#a3abb5",
    "#333940",
    {"#56b4e9", "#ff8c4b", "#2fc79a", "#e29ac8", "#e6c229", "#9fd4ff", "#e0709f", "#bdbdbd"}};

std::string opening(const Picture& picture, const char* more) {
  return fmt::format(
      "<svg{} viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" role=\"img\" aria-label=\"{}\">",
      more, picture.width, picture.height, picture.width, picture.height,
      escape_markup(picture.description));
}

}  // namespace

std::string stroke_class(int series) {
  return series < 0 ? "l-quiet" : fmt::format("l{}", series % series_colours);
}

std::string fill_class(int series) {
  return series < 0 ? "f-quiet" : fmt::format("f{}", series % series_colours);
}

std::string drawing_style(Theme theme) {
  const Palette& palette = theme == Theme::light ? light : dark;
  std::string style = fmt::format(
      "svg text{{fill:{};font:12px system-ui,'DejaVu Sans',sans-serif}}\n"
      "svg .quiet{{fill:{}}}\nsvg .paper{{fill:{}}}\n"
      "svg .grid{{stroke:{};stroke-width:1;fill:none}}\n"
      "svg .axis{{stroke:{};stroke-width:1;fill:none}}\n"
      "svg .l-quiet{{stroke:{};fill:none}}\nsvg .f-quiet{{fill:{}}}\n",
      palette.ink, palette.quiet, palette.paper, palette.grid, palette.quiet, palette.quiet,
      palette.quiet);
  for (int i = 0; i < series_colours; ++i) {
    const char* colour = palette.series[static_cast<size_t>(i)];
    style +=
        fmt::format("svg .l{}{{stroke:{};fill:none}}\nsvg .f{}{{fill:{}}}\n", i, colour, i, colour);
  }
  return style;
}

std::string inline_svg(const Picture& picture) {
  return element("div", opening(picture, "") + picture.body + "</svg>", "class=\"wide\"") + "\n";
}

std::string standalone_svg(const Picture& picture) {
  return opening(picture, " xmlns=\"http://www.w3.org/2000/svg\"") + "<style>" +
         drawing_style(Theme::light) + "</style>" +
         "<rect width=\"100%\" height=\"100%\" class=\"paper\"/>" + picture.body + "</svg>\n";
}

}  // namespace hardmoe
