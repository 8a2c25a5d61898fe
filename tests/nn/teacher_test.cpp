// A student and its teacher as one network; what it computes is compared in
// tests/engine/training_pieces_test.cpp.
#include "nn/teacher.h"

#include <gtest/gtest.h>

#include "expect_error.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

TEST(Teacher, IsASecondBranchOfTheSameInput) {
  const Network student = resnet({18, Stem::small, 8, 32}, 10);
  const Network teacher = resnet({34, Stem::imagenet, 16, 32}, 10);
  const auto [both, scores] = with_teacher(student, teacher);
  const size_t before = student.ops.size();
  ASSERT_EQ(both.ops.size(), before + teacher.ops.size());
  EXPECT_EQ(both.logits, student.logits);
  EXPECT_EQ(both.feature, student.feature);
  EXPECT_EQ(scores, both.value_count() - 1);
  for (size_t i = 0; i < before; ++i) EXPECT_EQ(both.ops[i].name, student.ops[i].name);
  for (size_t i = 0; i < teacher.ops.size(); ++i) {
    const Op &found = both.ops[before + i], &expected = teacher.ops[i];
    EXPECT_EQ(found.name, "teacher." + expected.name);
    EXPECT_EQ(found.attributes, expected.attributes);
    for (size_t k = 0; k < expected.inputs.size(); ++k) {
      const int from = expected.inputs[k];
      EXPECT_EQ(found.inputs[k], from == 0 ? 0 : from + static_cast<int>(before));
    }
  }
}

TEST(Teacher, ItsWeightsGoByTheirOwnNames) {
  const StateDict student = {{"fc.bias", Tensor::from<float>({1}, {1})}};
  const StateDict teacher = {{"fc.bias", Tensor::from<float>({2}, {1})}};
  const StateDict both = with_teacher(student, teacher);
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both.at("teacher.fc.bias").as<float>()[0], 2);
  const StateDict back = without_teacher(both);
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back.at("fc.bias").as<float>()[0], 1);
}

TEST(Teacher, RefusesOneThatSeesOtherImages) {
  const Network student = resnet({18, Stem::small, 8, 32}, 10);
  const auto refused = [&](const Network& teacher, const std::vector<std::string>& words) {
    expect_error([&] { with_teacher(student, teacher); }, words);
  };
  refused(resnet({18, Stem::small, 8, 40}, 10), {"reads"});
  Network darker = student;
  darker.mean[1] += 1;
  refused(darker, {"reads"});
  refused(resnet({18, Stem::small, 8, 32}, 0), {"without logits"});
}

}  // namespace
}  // namespace hardmoe
