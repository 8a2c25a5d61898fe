// What a command tells of itself: its arguments, options, keys and examples, from which the end of its
// help, its manual page and what shells complete are made.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace hardmoe {

/// An option or an argument.
struct OptionGuide {
  std::string name;   ///< "--lr" or, of an argument, "DATASET"
  std::string brief;  ///< "-h"; mostly empty
  std::string value;  ///< what stands for the value, such as "NUMBER"; empty: a switch, an argument
  std::string initial;  ///< the value where it is not given; may be empty
  std::string help;
  bool argument = false;
  bool required = false;
  bool repeats = false;              ///< takes several values
  std::vector<std::string> choices;  ///< values to complete; empty: files, or nothing
};

/// A key of the configuration.
struct KeyGuide {
  std::string path;     ///< "base.optimizer"
  std::string initial;  ///< its default, as --set takes it
  std::string help;
  std::vector<std::string> choices;  ///< as of an option
  bool in_help = false;              ///< listed there, having no option
};

/// A command.
struct Guide {
  std::string name;         ///< "moe-eval"
  std::string description;  ///< paragraphs, an empty line between
  std::vector<OptionGuide> options;
  std::vector<KeyGuide> keys;         ///< that it reads
  std::string notes;                  ///< exit status and what else all commands have in common
  std::vector<std::string> examples;  ///< command lines
};

/// Returns the options and arguments of a command in their order, but for hidden ones. Values such as
/// "tags|truth" are choices.
std::vector<OptionGuide> options_of(const CLI::App& app);

/// Returns what --help ends with: keys, notes, examples.
std::string help_end(const Guide& guide);

/// Returns the manual page, in roff's man macros. `date`: its own, such as "2026-01-31".
std::string man_page(const Guide& guide, const std::string& date);

/// Return the script by which the shell completes options, values that are choices, keys after --set,
/// and else files.
std::string bash_completion(const Guide& guide);
std::string zsh_completion(const Guide& guide);
std::string fish_completion(const Guide& guide);

/// Writes page and scripts below `folder`, where systems look for them below share/. The page's date is
/// today's or, so that builds can be repeated, that of SOURCE_DATE_EPOCH. Throws Error.
void write_manuals(const Guide& guide, const std::string& folder);

}  // namespace hardmoe
