#include "engine/ops/operator.h"

#include "base/error.h"

namespace hardmoe {
namespace {

int64_t window_count(const std::string& name, int64_t extent, const Window& window) {
  const int64_t room = extent + 2 * window.padding - window.kernel;
  if (room < 0) {
    fail_usage(
        "operator '{}': a {}×{} window does not fit an input of {} pixels; use larger images "
        "or stem: small",
        name, window.kernel, window.kernel, extent);
  }
  return room / window.stride + 1;
}

}  // namespace

double Attributes::take(const std::string& name) {
  const auto found = op_.attributes.find(name);
  if (found == op_.attributes.end()) {
    fail("operator '{}' of type {}: its attribute '{}' is missing", op_.name, op_.type, name);
  }
  taken_.insert(name);
  return found->second;
}

int64_t Attributes::size(const std::string& name) {
  const double value = take(name);
  if (value != std::floor(value) || std::abs(value) > 1e15) {
    fail("operator '{}' of type {}: attribute '{}' is {}, expected a whole number", op_.name,
         op_.type, name, value);
  }
  return static_cast<int64_t>(value);
}

int Attributes::integer(const std::string& name) { return static_cast<int>(size(name)); }

double Attributes::number(const std::string& name, double fallback) {
  return op_.attributes.contains(name) ? take(name) : fallback;
}

std::optional<float> Attributes::optional(const std::string& name) {
  if (!op_.attributes.contains(name)) return {};
  return static_cast<float>(take(name));
}

void Attributes::require_all_taken() const {
  for (const auto& [name, value] : op_.attributes) {
    if (taken_.contains(name)) continue;
    fail("operator '{}' of type {} has no attribute '{}'", op_.name, op_.type, name);
  }
}

Window Window::from(Attributes& attributes) {
  const Window window = {attributes.integer("kernel"), attributes.integer("stride"),
                         attributes.integer("padding")};
  // A window wholly in padding would see nothing.
  if (window.kernel < 1 || window.stride < 1 || window.padding < 0 ||
      window.padding >= window.kernel) {
    fail(
        "a window of {}×{} with stride {} and padding {}; expected a stride of at least 1 and less "
        "padding than the window is wide",
        window.kernel, window.kernel, window.stride, window.padding);
  }
  return window;
}

Extent Window::output(const std::string& name, const Extent& in, int64_t channels) const {
  return {window_count(name, in.height, *this), window_count(name, in.width, *this), channels};
}

}  // namespace hardmoe
