#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace hardmoe {
namespace {

TEST(Tensor, BeginsAsAlignedZeros) {
  const Tensor tensor(DType::f32, {3, 5});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0U);
  EXPECT_EQ(tensor.bytes(), 60U);
  for (const float value : tensor.as<float>()) EXPECT_EQ(value, 0);
}

TEST(Tensor, CopiesShareClonesDoNot) {
  Tensor tensor = Tensor::from<int32_t>({1, 2, 3, 4}, {2, 2});
  const Tensor copy = tensor;
  const Tensor clone = tensor.clone();
  const Tensor view = tensor.reshaped({4});
  tensor.as<int32_t>()[3] = 9;
  EXPECT_EQ(copy.as<int32_t>()[3], 9);
  EXPECT_EQ(view.as<int32_t>()[3], 9);
  EXPECT_EQ(clone.as<int32_t>()[3], 4);
  EXPECT_EQ(Tensor().clone().elements(), 0);
}

TEST(Tensor, RefusesWrongTypesAndShapes) {
  const Tensor tensor(DType::f32, {2, 3});
  expect_error([&] { tensor.as<double>(); }, {"float32", "float64"});
  expect_error([&] { tensor.reshaped({4}); }, {"2×3", "4"});
  expect_error([] { to_float32(Tensor(DType::i32, {1})); }, {"int32"});
}

TEST(ToFloat32, ConvertsEveryFloatingType) {
  const Tensor half = Tensor::from<Float16>({{0x3C00}, {0xC100}}, {2});
  const Tensor brain = Tensor::from<BFloat16>({{0x3F80}, {0xC020}}, {2});
  const Tensor wide = Tensor::from<double>({1, -2.5}, {2});
  const Tensor same = Tensor::from<float>({1, -2.5F}, {2});
  for (const Tensor* tensor : {&half, &brain, &wide, &same}) {
    const Tensor result = to_float32(*tensor);
    EXPECT_EQ(result.as<float>()[0], 1);
    EXPECT_EQ(result.as<float>()[1], -2.5F);
    EXPECT_NE(result.data(), tensor->data());
  }
}

TEST(ShapeText, HasTimesSigns) {
  EXPECT_EQ(to_string(Shape{64, 3, 7, 7}), "64×3×7×7");
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 0}), 0);
}

}  // namespace
}  // namespace hardmoe
