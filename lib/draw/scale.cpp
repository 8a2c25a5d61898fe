#include "draw/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hardmoe {

Scale::Scale(ScaleKind kind, double low, double high, double low_pixel, double high_pixel)
    : kind_(kind), low_(low), high_(high), low_pixel_(low_pixel), high_pixel_(high_pixel) {
  if (high_ > low_) return;
  if (kind_ == ScaleKind::logarithmic) {
    low_ = low / 2;
    high_ = low * 2;
  } else {
    const double half = low == 0 ? 1 : std::abs(low) / 10;
    low_ = low - half;
    high_ = low + half;
  }
}

double Scale::at(double value) const {
  const bool logarithmic = kind_ == ScaleKind::logarithmic;
  const double share = logarithmic ? std::log(value / low_) / std::log(high_ / low_)
                                   : (value - low_) / (high_ - low_);
  return low_pixel_ + share * (high_pixel_ - low_pixel_);
}

std::vector<double> Scale::ticks(int count) const {
  std::vector<double> found;
  const auto within = [&](double value) {
    const double slack = 1e-9 * std::max(std::abs(low_), std::abs(high_));
    return value >= low_ - slack && value <= high_ + slack;
  };
  if (kind_ == ScaleKind::logarithmic) {
    const auto first = static_cast<int>(std::floor(std::log10(low_)));
    const auto last = static_cast<int>(std::ceil(std::log10(high_)));
    const bool few = last - first <= 2;
    for (int power = first; power <= last; ++power) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double value = digit * std::pow(10, power);
        if ((digit == 1 || few) && within(value)) found.push_back(value);
      }
    }
    if (found.size() >= 2) return found;
    found.clear();  // less than a factor of two: as a linear one
  }
  const double rough = (high_ - low_) / std::max(count, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double digit : {5.0, 2.0, 1.0}) {
    if (digit * power >= rough * 0.999) step = digit * power;
  }
  for (double i = std::ceil(low_ / step - 1e-9); within(i * step); ++i) {
    found.push_back(i == 0 ? 0 : i * step);
  }
  return found;
}

std::string axis_text(double value) {
  const double size = std::abs(value);
  struct Unit {
    double factor;
    const char* name;
  };
  for (const auto& [factor, name] :
       {Unit{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (size >= factor) return fmt::format("{:.3g}{}", value / factor, name);
  }
  return fmt::format("{:.3g}", value);
}

std::vector<double> spread_apart(const std::vector<double>& wanted, double gap, double low,
                                 double high) {
  std::vector<size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });
  if (wanted.size() > 1) {
    gap = std::min(gap, (high - low) / static_cast<double>(wanted.size() - 1));
  }
  std::vector<double> places(wanted.size());
  double before = low - gap;
  for (const size_t i : order) before = places[i] = std::max(wanted[i], before + gap);
  double after = high + gap;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    after = places[*i] = std::min(places[*i], after - gap);
  }
  return places;
}

}  // namespace hardmoe
