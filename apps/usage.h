// What a command says of a command line it cannot take.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace hardmoe {

/// Of the words `left` over, an unknown option with the nearest known one: named before what CLI11
/// misses, which is often the option that was meant. Otherwise CLI11's message in our words.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error,
                          const std::vector<std::string>& left);

}  // namespace hardmoe
