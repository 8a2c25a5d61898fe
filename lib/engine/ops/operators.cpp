#include "engine/ops/operators.h"

#include <optional>

#include "base/error.h"

namespace hardmoe {
namespace {

/// Calls body(T{}) for every alternative T of a variant.
template <class... Types, class Body>
void for_each_type(std::type_identity<std::variant<Types...>>, const Body& body) {
  (body(std::type_identity<Types>{}), ...);
}

}  // namespace

Operator make_operator(const Op& op) {
  std::optional<Operator> made;
  std::string known;
  for_each_type(std::type_identity<Operator>{}, [&]<class Type>(std::type_identity<Type>) {
    known += (known.empty() ? "" : ", ") + std::string(Type::type);
    if (op.type != Type::type) return;
    Attributes attributes(op);
    made = Type::from(attributes);
    attributes.require_all_taken();
  });
  if (!made) fail("operator '{}' is of type '{}'; the types are {}", op.name, op.type, known);
  return *made;
}

bool keeps_channels(const Operator& op) {
  return std::visit([](const auto& one) { return one.keeps_channels; }, op);
}

}  // namespace hardmoe
