// What resnet() refuses to build; what it builds is compared in
// tests/engine/network_facts_test.cpp.
#include "nn/resnet.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace hardmoe {
namespace {

TEST(ResNet, RefusesWhatItCannotBuild) {
  const auto refused = [](ModelConfig model, const std::vector<std::string>& words) {
    expect_error([&] { resnet(model, 10); }, words, ExitStatus::usage);
  };
  refused({20, Stem::small, 64, 32}, {"model.depth", "18, 34 or 50", "20"});
  refused({18, Stem::small, 0, 32}, {"model.width", "0"});
  refused({18, Stem::small, -64, 32}, {"model.width", "-64"});
  refused({18, Stem::small, 64, 7}, {"model.image_size", "7"});
  refused({18, Stem::small, 64, 1 << 20}, {"model.image_size", "1048576"});
  refused({.tail = {.behind = 4, .width = 8}}, {"tail", "4 and 8"});
  refused({.tail = {.behind = 1, .width = -8}}, {"tail", "1 and -8"});
}

}  // namespace
}  // namespace hardmoe
