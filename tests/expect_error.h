// Checks that a call throws hardmoe::Error and that its sentence names what it should.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace hardmoe {

/// Runs `call`; fails the test unless it throws Error with `status` whose message has all `words`.
template <class Call>
void expect_error(const Call& call, const std::vector<std::string>& words,
                  ExitStatus status = ExitStatus::failed) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.status()), static_cast<int>(status)) << error.what();
    for (const auto& word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << "the message does not say '" << word << "': " << error.what();
    }
    return;
  }
  FAIL() << "expected an error that says '" << words.at(0) << "'";
}

}  // namespace hardmoe
