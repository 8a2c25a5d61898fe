// Mapped files that shrink while they are read.
#include "base/mapping_faults.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/emergency.h"
#include "base/files.h"
#include "base/log.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class MappingFaults : public testing::Test {
 protected:
  MappingFaults() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    std::ofstream(folder / "a \"b\".tar") << std::string(100'000, 'x');
  }

  /// Reads the file's last byte after it has been cut.
  void read_what_is_gone() const {
    set_emergency_name("moe-test");
    install_mapping_fault_handler();
    const auto file = folder / "a \"b\".tar";
    const MappedFile before(folder / "other"), mapped(file);
    if (::truncate(file.c_str(), 10) != 0) std::_Exit(3);
    std::_Exit(mapped.bytes().back() == std::byte{'x'} ? 4 : 5);
  }

  TemporaryFolder folder;
};

TEST_F(MappingFaults, EndWithASentenceThatNamesTheFile) {
  std::ofstream(folder / "other") << "y";
  EXPECT_EXIT(read_what_is_gone(), testing::ExitedWithCode(1),
              "moe-test: reading .*a \"b\"\\.tar: could not be read on: it became shorter");
}

TEST_F(MappingFaults, AreOneObjectWhereMessagesAreJson) {
  std::ofstream(folder / "other") << "y";
  EXPECT_EXIT((set_log_format(LogFormat::json), read_what_is_gone()), testing::ExitedWithCode(1),
              "..level.:.error.,.message.:.reading .*a ..b...tar: could.*,.command.:.moe-test..");
}

TEST_F(MappingFaults, OtherFaultsEndAsTheyWould) {
  EXPECT_EXIT(
      {
        set_emergency_name("moe-test");
        install_mapping_fault_handler();
        ::raise(SIGBUS);
        ::raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace hardmoe
