// Where the device under test is not here, the program says so and ends with the status that ctest
// takes for "skipped".
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "engine/operator_cases.h"

namespace hardmoe {
namespace {

constexpr int skipped = 77;

class DeviceUnderTest : public testing::Environment {
 public:
  void SetUp() override {
    if (device_under_test() == "cpu") return;
    try {
      engine_under_test();
    } catch (const Error& error) {
      fmt::print(stderr, "no GPU, skipped: {}\n", error.what());
      std::exit(skipped);
    }
  }
};

const auto* const environment = testing::AddGlobalTestEnvironment(new DeviceUnderTest);

}  // namespace
}  // namespace hardmoe
