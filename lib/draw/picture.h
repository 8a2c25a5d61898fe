// A drawing as SVG: the same markup stands in a page, whose style sheet has light and dark colours,
// and in a file of its own, which brings the light ones. Colours are classes of the style sheet, so
// that nothing in a drawing knows which theme shows it.
#pragma once

#include <string>

namespace hardmoe {

/// A drawing.
struct Picture {
  std::string name;         ///< for a file: small letters, digits and hyphens
  std::string description;  ///< what it shows, for those who do not see it
  int width = 0, height = 0;
  std::string body;  ///< SVG elements, in pixels from the upper left corner
};

/// Returns the drawing as an element of a page.
std::string inline_svg(const Picture& picture);

/// Returns the drawing as a file, on white, with its style.
std::string standalone_svg(const Picture& picture);

/// The series that have colours of their own; later ones begin anew.
inline constexpr int series_colours = 8;

/// Returns the name of the class that strokes, or fills, with the colour of a series from 0; −1: a
/// quiet grey, for what is beside the point.
std::string stroke_class(int series);
std::string fill_class(int series);

enum class Theme { light, dark };
/// Returns the style of drawings: lines of CSS, each rule for elements within svg.
std::string drawing_style(Theme theme);

}  // namespace hardmoe
