#include "nn/teacher.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace hardmoe {
namespace {

constexpr std::string_view prefix = "teacher.";

bool same_input(const Network& a, const Network& b) {
  return a.input == b.input && a.extent == b.extent && std::ranges::equal(a.mean, b.mean) &&
         std::ranges::equal(a.deviation, b.deviation);
}

}  // namespace

TaughtNetwork with_teacher(Network student, const Network& teacher) {
  if (!same_input(student, teacher)) fail("a teacher must read what its student reads");
  if (teacher.logits < 0) fail("a network without logits cannot teach");
  const int before = static_cast<int>(student.ops.size());
  const auto moved = [&](int value) { return value == 0 ? 0 : value + before; };
  for (Op op : teacher.ops) {
    op.name.insert(0, prefix);
    std::ranges::transform(op.inputs, op.inputs.begin(), moved);
    student.append(std::move(op));
  }
  return {std::move(student), moved(teacher.logits)};
}

StateDict with_teacher(StateDict student, const StateDict& teacher) {
  for (const auto& [name, tensor] : teacher) {
    student.insert_or_assign(std::string(prefix) + name, tensor);
  }
  return student;
}

StateDict without_teacher(const StateDict& weights) {
  StateDict student;
  for (const auto& [name, tensor] : weights) {
    if (!name.starts_with(prefix)) student.emplace(name, tensor);
  }
  return student;
}

}  // namespace hardmoe
