// The options of all commands, as their --help has them: one name has one meaning.
#include <map>

#include "base/config.h"
#include "pipeline/commands.h"
#include "tasks/config.h"

namespace hardmoe {
namespace {

struct Option {
  std::string command, name;
  std::string type;     ///< what stands in the value's place, or "" for a switch
  std::string meaning;  ///< the description up to its first stop
  std::string key;      ///< of the configuration, or ""
};

std::vector<std::string> commands() {
  std::vector<std::string> names;
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("moe-")) names.push_back(name);
  }
  return names;
}

/// "NUMBER=10" is NUMBER; a whole number is a number, too.
std::string type_of(const std::string& word) {
  std::string type = word.substr(0, word.find_first_of("=:"));
  return type == "N" ? "NUMBER" : type;
}

Option parse_option(const std::string& command, const std::string& left,
                    const std::string& description) {
  const auto words = split(left, ' ');
  Option option{command, words[0].substr(words[0].rfind(',') + 1), "", "", ""};
  const bool valued = words.size() > 1 && words[1] != "Excludes:" && words[1] != "Needs:";
  if (valued) option.type = type_of(words[1]);
  option.meaning = trim(description.substr(0, description.find_first_of(":;(")));
  if (description.ends_with(')')) {
    const std::string key = description.substr(description.rfind('(') + 1);
    option.key = key.substr(0, key.find_first_of("=)"));
  }
  return option;
}

/// The options of a command: a line each, or two where what is left of the description is long.
std::vector<Option> options_of(const fs::path& folder, const std::string& command) {
  constexpr size_t column = 34;  // of the descriptions
  std::vector<Option> options;
  const auto lines = split(output_of(folder, command + " --help"), '\n');
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (!lines[i].starts_with("  -")) continue;
    const bool two = lines[i + 1].starts_with(std::string(column, ' '));
    const std::string left(trim(two ? lines[i] : lines[i].substr(0, column)));
    options.push_back(parse_option(command, left, (two ? lines[i + 1] : lines[i]).substr(column)));
  }
  return options;
}

TEST(Options, OneNameHasOneMeaningInAllCommands) {
  const TemporaryFolder folder;
  std::map<std::string, Option> known;
  for (const auto& command : commands()) {
    for (const Option& option : options_of(folder.path(), command)) {
      const auto [first, is_new] = known.emplace(option.name, option);
      EXPECT_NE(option.meaning, "") << command << " " << option.name;
      if (is_new) continue;
      const std::string both =
          fmt::format("{} of {} and of {}", option.name, option.command, first->second.command);
      EXPECT_EQ(option.meaning, first->second.meaning) << both;
      EXPECT_EQ(option.type, first->second.type) << both;
    }
  }
  EXPECT_GE(known.size(), 80U);
}

TEST(Options, ThoseOfMoeIngestAreItsSectionsKeys) {
  const TemporaryFolder folder;
  Config config;
  std::map<std::string, std::string> option_of;  // by key
  for (const Option& option : options_of(folder.path(), "moe-ingest")) {
    option_of[option.key] = option.name;
  }
  for (const ConfigKey& key : config_keys(fields_of(config))) {
    if (!key.path.starts_with("ingest.") || key.path == "ingest.sources") continue;
    EXPECT_TRUE(option_of.contains(key.path)) << key.path;
  }
}

TEST(Options, TheirKeysExist) {
  const TemporaryFolder folder;
  Config config;
  int keys = 0;
  for (const auto& command : commands()) {
    for (const Option& option : options_of(folder.path(), command)) {
      const bool dotted = option.key.find('.') != std::string::npos;
      if (!dotted || option.key.find(' ') != std::string::npos) continue;
      EXPECT_NO_THROW(field_at(fields_of(config), option.key, option.name))
          << command << " " << option.name;
      ++keys;
    }
  }
  EXPECT_GE(keys, 50);
}

/// GNU's OpenMP tells what it read from the environment.
TEST(Waiting, IsBriefUnlessTheEnvironmentSaysHow) {
  const TemporaryFolder folder;
  const auto told = [&](const std::string& environment) {
    return run(folder.path(), "exec env " + environment + " OMP_DISPLAY_ENV=verbose moe-device")
        .err;
  };
  const std::string brief = "GOMP_SPINCOUNT = '60000'";
  EXPECT_NE(told("-u OMP_WAIT_POLICY").find(brief), std::string::npos);
  EXPECT_EQ(told("OMP_WAIT_POLICY=active").find(brief), std::string::npos);
  EXPECT_NE(told("-u OMP_WAIT_POLICY GOMP_SPINCOUNT=7").find("GOMP_SPINCOUNT = '7'"),
            std::string::npos);
}

}  // namespace
}  // namespace hardmoe
