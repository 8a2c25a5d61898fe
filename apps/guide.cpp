#include "guide.h"

#include <fmt/chrono.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace {

constexpr size_t help_column = 34;  // of CLI11's descriptions

/// Returns today, or the day that SOURCE_DATE_EPOCH gives (reproducible-builds.org).
std::string date_of_manuals() {
  std::time_t seconds = std::time(nullptr);
  if (const char* given = std::getenv("SOURCE_DATE_EPOCH")) {
    constexpr std::time_t last = 253402300799;  // of the year 9999
    const std::string_view text = given;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), seconds);
    if (error != std::errc() || end != text.end() || seconds < 0 || seconds > last) {
      fail_usage("SOURCE_DATE_EPOCH: expected seconds since 1970, found '{}'", text);
    }
  }
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(seconds));
}

void write_below(const std::string& folder, const char* place, const std::string& name,
                 const std::string& text) {
  const auto below = std::filesystem::path(folder) / place;
  make_writable_folder(below);
  write_file_atomic(below / name, text);
}

}  // namespace

std::vector<OptionGuide> options_of(const CLI::App& app) {
  std::vector<OptionGuide> options;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    OptionGuide guide;
    guide.argument = option->get_positional();
    guide.name = guide.argument ? option->get_name(true) : "--" + option->get_lnames().at(0);
    if (!option->get_snames().empty()) guide.brief = "-" + option->get_snames()[0];
    const bool valued = !guide.argument && option->get_type_size() != 0;
    const std::string type = option->get_type_name();
    if (valued) guide.value = type.substr(0, type.find(':'));  // a check's description follows
    guide.initial = option->get_default_str();
    guide.help = option->get_description();
    guide.required = option->get_required();
    guide.repeats = option->get_expected_max() > 1;
    if (guide.value.find('|') != std::string::npos) guide.choices = split(guide.value, '|');
    if (guide.value == "DEVICE") guide.choices = {"cpu", "cuda"};
    options.push_back(std::move(guide));
  }
  return options;
}

std::string help_end(const Guide& guide) {
  std::string text;
  for (const KeyGuide& key : guide.keys) {
    if (!key.in_help) continue;
    if (text.empty()) text = "Keys without an option, for --set and configuration files:\n";
    std::string left = fmt::format("  {}={}", key.path, key.initial);
    if (left.size() + 2 > help_column) left += "\n" + std::string(help_column, ' ');
    text += fmt::format("{:<{}}{}\n", left, help_column, key.help);
  }
  if (!text.empty()) text += "\n";
  text += guide.notes + "\n\n";
  text += guide.examples.size() == 1 ? "Example:" : "Examples:";
  for (const auto& example : guide.examples) text += "\n  " + example;
  return text;
}

void write_manuals(const Guide& guide, const std::string& folder) {
  write_below(folder, "man/man1", guide.name + ".1", man_page(guide, date_of_manuals()));
  write_below(folder, "bash-completion/completions", guide.name, bash_completion(guide));
  write_below(folder, "zsh/site-functions", "_" + guide.name, zsh_completion(guide));
  write_below(folder, "fish/vendor_completions.d", guide.name + ".fish", fish_completion(guide));
}

}  // namespace hardmoe
