// What a command says of a command line it cannot take.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace hardmoe {

/// Options of earlier versions, each with a clause that says what to write instead.
using RenamedOptions = std::vector<std::pair<std::string, std::string>>;

/// Of the words `left` over, an unknown option with the nearest known one: named before what CLI11
/// misses, which is often the option that was meant; an option of earlier versions with what is
/// written instead. Otherwise CLI11's message in our words.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error,
                          const std::vector<std::string>& left, const RenamedOptions& renamed);

}  // namespace hardmoe
