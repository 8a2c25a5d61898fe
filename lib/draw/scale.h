// From values to pixels along one axis, and the round values that it is labelled with.
#pragma once

#include <string>
#include <vector>

namespace hardmoe {

enum class ScaleKind { linear, logarithmic };

/// A range of values laid over a range of pixels.
class Scale {
 public:
  /// A range without extent is widened. Logarithmic: both values must be positive.
  Scale(ScaleKind kind, double low, double high, double low_pixel, double high_pixel);

  /// Returns the pixel of a value; one outside of the range lies outside.
  double at(double value) const;
  /// Returns about `count` round values within the range, ascending: multiples of 1, 2 or 5 times a
  /// power of ten; logarithmic: powers of ten, or 1, 2 and 5 times these if there are few.
  std::vector<double> ticks(int count) const;
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  ScaleKind kind_;
  double low_, high_, low_pixel_, high_pixel_;
};

/// Returns a number as an axis has it: "0.25", "40", "2k", "1.5M".
std::string axis_text(double value);

/// Returns positions near the wanted ones, in their order, that are at least `gap` apart and within
/// [low, high] as far as there is room: for labels that would lie upon one another.
std::vector<double> spread_apart(const std::vector<double>& wanted, double gap, double low,
                                 double high);

}  // namespace hardmoe
