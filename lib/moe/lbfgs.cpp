#include "moe/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

namespace hardmoe {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(Vector& to, double scale, const Vector& from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += scale * from[i];
}

double largest(const Vector& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

/// The last steps, from which the inverse Hessian is guessed.
class History {
 public:
  /// Returns the direction of descent at this gradient.
  Vector direction(const Vector& gradient) const {
    Vector q = gradient;
    std::vector<double> alpha(steps_.size());
    for (size_t i = steps_.size(); i-- > 0;) {
      alpha[i] = dot(steps_[i].step, q) / steps_[i].curvature;
      add_scaled(q, -alpha[i], steps_[i].change);
    }
    double scale = -1 / std::max(1.0, std::sqrt(dot(gradient, gradient)));
    if (!steps_.empty()) {
      const Step& last = steps_.back();
      scale = -last.curvature / dot(last.change, last.change);
    }
    for (double& value : q) value *= scale;
    for (size_t i = 0; i < steps_.size(); ++i) {  // q is −H·gradient: signs are turned
      const double beta = dot(steps_[i].change, q) / steps_[i].curvature;
      add_scaled(q, -alpha[i] - beta, steps_[i].step);
    }
    return q;
  }

  void add(Vector step, Vector change) {
    const double curvature = dot(step, change);
    if (curvature <= 1e-14 * dot(change, change)) return;
    steps_.push_back({std::move(step), std::move(change), curvature});
    if (steps_.size() > 10) steps_.pop_front();
  }
  void clear() { steps_.clear(); }
  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    Vector step, change;  ///< of the parameters, of the gradient
    double curvature;
  };
  std::deque<Step> steps_;
};

/// Goes from `at` along `direction` until the value falls enough (Armijo). Returns whether it did;
/// `at`, `value` and `gradient` are then those of the new point.
bool descend(const SmoothFunction& function, const Vector& direction, Vector& at, double& value,
             Vector& gradient) {
  const double slope = dot(direction, gradient);
  if (slope >= 0) return false;
  Vector next_gradient;
  for (double length = 1; length > 1e-6; length /= 2) {
    Vector next = at;
    add_scaled(next, length, direction);
    const double next_value = function(next, next_gradient);
    if (!(next_value <= value + 1e-4 * length * slope)) continue;
    at = std::move(next);
    value = next_value;
    gradient = std::move(next_gradient);
    return true;
  }
  return false;
}

}  // namespace

Minimum minimise(const SmoothFunction& function, Vector start, int iterations, double tolerance) {
  Minimum found{std::move(start), 0, 0};
  Vector gradient;
  found.value = function(found.at, gradient);
  History history;
  while (found.iterations < iterations && largest(gradient) > tolerance) {
    const Vector before = found.at, gradient_before = gradient;
    if (!descend(function, history.direction(gradient), found.at, found.value, gradient)) {
      if (history.empty()) break;  // as far as the function's rounding lets it
      history.clear();
      continue;
    }
    Vector step = found.at, change = gradient;
    add_scaled(step, -1, before);
    add_scaled(change, -1, gradient_before);
    history.add(std::move(step), std::move(change));
    ++found.iterations;
  }
  return found;
}

}  // namespace hardmoe
