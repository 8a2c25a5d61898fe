#include "usage.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/text.h"

namespace hardmoe {
namespace {

/// CLI11's "Could not convert: --epochs = many" in the words of the other messages; what else it
/// says, as it is.
std::string number_fault(const std::string& message) {
  constexpr std::string_view begin = "Could not convert: ", middle = " = ";
  const size_t equals = message.find(middle);
  if (!message.starts_with(begin) || equals == std::string::npos) return message;
  const std::string option = message.substr(begin.size(), equals - begin.size());
  const std::string value = message.substr(equals + middle.size());
  char* end = nullptr;
  std::strtod(value.c_str(), &end);
  const bool number = !value.empty() && *end == '\0';
  const bool digits = value.find_first_not_of("0123456789") == std::string::npos;
  const char* expected = !number ? "a number" : digits ? "a smaller number" : "a whole number";
  return fmt::format("{}: expected {}, found '{}'", option, expected, value);
}

}  // namespace

std::string usage_message(const CLI::App& app, const CLI::ParseError& error,
                          const std::vector<std::string>& left, const RenamedOptions& renamed) {
  std::vector<std::string> known;
  for (const auto* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    for (const auto& name : option->get_lnames()) known.push_back(name);
  }
  for (const auto& word : left) {
    if (!word.starts_with("--")) continue;
    const std::string option = word.substr(0, word.find('='));
    for (const auto& [name, instead] : renamed) {
      if (name == option) return fmt::format("{} is no option any more: {}", name, instead);
    }
    const auto nearest = nearest_name(option.substr(2), known);
    return nearest.empty()
               ? fmt::format("unknown option {}; see --help", option)
               : fmt::format("unknown option {}; did you mean --{}? See --help", option, nearest);
  }
  return fmt::format("{}; see --help", number_fault(error.what()));
}

}  // namespace hardmoe
