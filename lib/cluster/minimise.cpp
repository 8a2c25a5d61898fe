#include "cluster/minimise.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace hardmoe {
namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Adds factor · b to a.
void add(std::span<double> a, double factor, std::span<const double> b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += factor * b[i];
}

/// A step that was taken, and the change of the gradient along it.
struct Step {
  std::vector<double> move, change;
  double product;  ///< move · change, above 0
};

/// Returns the direction −H·gradient, H the inverse Hessian that the last steps suggest.
std::vector<double> direction_of(const std::deque<Step>& steps,
                                 const std::vector<double>& gradient) {
  std::vector<double> direction(gradient.size());
  std::transform(gradient.begin(), gradient.end(), direction.begin(), std::negate<>());
  std::vector<double> shares(steps.size());
  for (size_t s = steps.size(); s-- > 0;) {
    shares[s] = dot(steps[s].move, direction) / steps[s].product;
    add(direction, -shares[s], steps[s].change);
  }
  if (!steps.empty()) {
    const Step& last = steps.back();
    const double scale = last.product / dot(last.change, last.change);
    for (double& value : direction) value *= scale;
  }
  for (size_t s = 0; s < steps.size(); ++s) {
    const double share = dot(steps[s].change, direction) / steps[s].product;
    add(direction, shares[s] - share, steps[s].move);
  }
  return direction;
}

}  // namespace

std::vector<double> minimise(const SmoothFunction& function, std::vector<double> start,
                             int iterations) {
  constexpr size_t remembered = 12;
  constexpr double least_gain = 1e-12, least_slope = 1e-9, enough = 1e-4;
  std::vector<double> at = std::move(start), gradient(at.size()), next, next_gradient(at.size());
  double value = function(at, gradient);
  std::deque<Step> steps;
  for (int i = 0; i < iterations; ++i) {
    const double steepness = std::sqrt(dot(gradient, gradient));
    if (!(steepness > least_slope)) break;
    const std::vector<double> direction = direction_of(steps, gradient);
    const double slope = dot(direction, gradient);
    double length = steps.empty() ? 1 / steepness : 1;  // the first direction has no scale
    double found = INFINITY;
    for (int halvings = 0; halvings < 60; ++halvings, length /= 2) {
      next = at;
      add(next, length, direction);
      found = function(next, next_gradient);
      if (found <= value + enough * length * slope) break;
    }
    if (!(found < value)) break;
    Step step{next, next_gradient, 0};
    add(step.move, -1, at);
    add(step.change, -1, gradient);
    step.product = dot(step.move, step.change);
    if (step.product > 0) steps.push_back(std::move(step));  // else the model would not be convex
    if (steps.size() > remembered) steps.pop_front();
    const double gain = value - found;
    at.swap(next);
    gradient.swap(next_gradient);
    value = found;
    if (gain <= least_gain * std::max(1.0, std::abs(value))) break;
  }
  return at;
}

}  // namespace hardmoe
