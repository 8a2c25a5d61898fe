// Scripts by which bash, zsh and fish complete a command's line.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "guide.h"

namespace hardmoe {
namespace {

/// What follows an option, or stands where an argument may.
enum class Value { none, anything, choice, key, file };

Value value_of(const OptionGuide& option) {
  if (option.argument) return Value::file;
  if (option.value.empty()) return Value::none;
  if (!option.choices.empty()) return Value::choice;
  if (option.value == "KEY=VALUE") return Value::key;
  for (const char* file : {"DIR", "FILE", "PATH", "SOURCE"}) {
    if (option.value.starts_with(file)) return Value::file;
  }
  return Value::anything;
}

/// Returns "moe_eval", for names of functions.
std::string identifier(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// Returns the text with a backslash before each of the characters.
std::string escaped(const std::string& text, std::string_view characters) {
  std::string all;
  for (const char c : text) {
    if (characters.find(c) != std::string_view::npos) all += '\\';
    all += c;
  }
  return all;
}

/// Returns what a list shows beside an option: the description up to a semicolon or parenthesis.
std::string short_help(const std::string& help) {
  return help.substr(0, std::min(help.find(';'), help.find(" (")));
}

/// Returns "base.lr= base.epochs= …", as keys begin after --set.
std::string key_words(const Guide& guide) {
  std::vector<std::string> words;
  for (const auto& key : guide.keys) words.push_back(key.path + "=");
  return join(words, " ");
}

/// Returns the same, but those that have choices with each of these, for shells that complete whole
/// words.
std::string assignment_words(const Guide& guide) {
  std::vector<std::string> words;
  for (const auto& key : guide.keys) {
    if (key.choices.empty()) words.push_back(key.path + "=");
    for (const auto& choice : key.choices) words.push_back(key.path + "=" + choice);
  }
  return join(words, " ");
}

/// Returns a specification of zsh's _arguments in single quotes; its texts are escaped already.
std::string zsh_specification(const std::string& text) {
  std::string quoted;
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return " \\\n  '" + quoted + "'";
}

std::string zsh_action(const Guide& guide, const OptionGuide& option) {
  switch (value_of(option)) {
    case Value::none:
      break;
    case Value::anything:
      return " ";
    case Value::choice:
      return "(" + join(option.choices, " ") + ")";
    case Value::key:
      return "{compadd -S \"\" -- " + assignment_words(guide) + "}";
    case Value::file:
      return "_files";
  }
  return "";
}

/// How a line of fish's begins, without the description.
std::string fish_option(const Guide& guide, const OptionGuide& option) {
  std::string line = fmt::format("complete -c {} -l {}", guide.name, option.name.substr(2));
  if (!option.brief.empty()) line += " -s " + option.brief.substr(1);
  switch (value_of(option)) {
    case Value::none:
      break;
    case Value::anything:
      return line + " -x";
    case Value::choice:
      return line + " -x -a '" + join(option.choices, " ") + "'";
    case Value::key:
      return line + " -x -a '" + assignment_words(guide) + "'";
    case Value::file:
      return line + " -r -F";
  }
  return line;
}

constexpr const char* bash_script = R"(# bash completion of {command}; generated from its options
_{function}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
  # bash parts words at '=': --option=value and key=value are three
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  COMPREPLY=()
  case $prev in
{cases}  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '{options}' -- "$cur")
  else
    compopt -o filenames 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}}
complete -F _{function} {command}
)";

}  // namespace

std::string bash_completion(const Guide& guide) {
  std::string cases;
  std::vector<std::string> options, unknown;
  const auto offer = [&](const std::string& word, const std::string& values) {
    cases += fmt::format(
        "    {})\n      mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")\n      return ;;\n",
        word, values);
  };
  for (const auto& option : guide.options) {
    if (option.argument) continue;
    options.push_back(option.name);
    const Value value = value_of(option);
    if (value == Value::choice) offer(option.name, join(option.choices, " "));
    if (value == Value::anything) unknown.push_back(option.name);
    if (value == Value::key) {
      cases += fmt::format("    {}) compopt -o nospace 2> /dev/null ;;&\n", option.name);
      offer(option.name, key_words(guide));
    }
  }
  for (const auto& key : guide.keys) {
    if (!key.choices.empty()) offer(key.path, join(key.choices, " "));
  }
  if (!unknown.empty()) cases += fmt::format("    {}) return ;;\n", join(unknown, " | "));
  return fmt::format(bash_script, fmt::arg("command", guide.name),
                     fmt::arg("function", identifier(guide.name)), fmt::arg("cases", cases),
                     fmt::arg("options", join(options, " ")));
}

std::string zsh_completion(const Guide& guide) {
  // [ and ] enclose a description, : parts what stands in a specification.
  const auto plain = [](const std::string& text) { return escaped(text, "\\[]:"); };
  std::string script = "#compdef " + guide.name + "\n# generated from its options\n_arguments";
  int arguments = 0;
  for (const auto& option : guide.options) {
    const std::string action = zsh_action(guide, option);
    const std::string help = "[" + plain(short_help(option.help)) + "]";
    if (option.argument) {
      const std::string place = option.repeats ? "*" : std::to_string(++arguments);
      script += zsh_specification(fmt::format("{}:{}:{}", place, option.name, action));
      continue;
    }
    if (!option.brief.empty()) script += zsh_specification(option.brief + help);
    const std::string times = option.repeats ? "*" : "";
    script += zsh_specification(action.empty() ? option.name + help
                                               : fmt::format("{}{}={}:{}:{}", times, option.name,
                                                             help, plain(option.value), action));
  }
  return script + "\n";
}

std::string fish_completion(const Guide& guide) {
  std::string script =
      fmt::format("# fish completion of {}; generated from its options\n", guide.name);
  for (const auto& option : guide.options) {
    if (option.argument) continue;
    script += fmt::format("{} -d '{}'\n", fish_option(guide, option),
                          escaped(short_help(option.help), "\\'"));
  }
  return script;
}

}  // namespace hardmoe
