// docs/configuration.md and configs/hardmoe.schema.json are what the settings describe. To write them
// anew:
//   HARDMOE_WRITE_DOCUMENTS=1 build/bin/test_tasks --gtest_filter='ConfigurationDocument.*'
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/config_schema.h"
#include "base/files.h"
#include "base/text.h"
#include "outside.h"
#include "tasks/config.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

constexpr const char* introduction = R"(# Configuration

One YAML file for every command: `--config FILE`, then any number of `--set section.key=value` over it, and the command's own options, each of which stands for a key (its `--help` says which). A command reads the sections it needs; an unknown key is refused with the nearest known one. Absent keys have the defaults below. Beside a model and a run `config.yaml` keeps all values it was made with; `moe-run` takes FILE as its argument.

This page is generated from the program's own descriptions (`tests/tasks/configuration_document_test.cpp`).
)";

std::string cell(std::string text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
  return escaped;
}

/// Help of an enumeration without the names, which the column beside it lists.
std::string meaning(const Fields::Field& field) {
  const std::string names = field.type.starts_with("one of ") ? " (" : "";
  const size_t at = names.empty() ? std::string::npos : field.help.rfind(names);
  return cell(field.help.substr(0, at));
}

std::string default_of(const Fields::Field& field) {
  const Json value = field.value();
  if (value.is_string())
    return value == "" ? "empty" : fmt::format("`{}`", value.get<std::string>());
  return fmt::format("`{}`", value.dump());
}

void add_table(const std::vector<Fields::Field>& fields, const std::string& prefix,
               std::string& text) {
  text += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
  for (const auto& field : fields) {
    if (!field.section.empty()) continue;
    text += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix, field.name, cell(field.type),
                        default_of(field), meaning(field));
  }
}

void add_sections(const std::vector<Fields::Field>& fields, const std::string& prefix,
                  std::string& text) {
  for (const auto& field : fields) {
    if (field.section.empty()) continue;
    const std::string path = prefix + field.name;
    text += fmt::format("\n## {}\n{}.\n", path, cell(field.help));
    add_table(field.section, path + ".", text);
    add_sections(field.section, path + ".", text);
  }
}

std::string document() {
  Config config;
  const Fields fields = fields_of(config);
  std::string text = introduction;
  text += "\n## Top level\n";
  add_table(fields.list(), "", text);
  add_sections(fields.list(), "", text);
  return text;
}

std::string schema() {
  Config config;
  return config_schema(fields_of(config), "Configuration of hardmoe").dump(2) + "\n";
}

fs::path schema_file() { return repository() / "configs/hardmoe.schema.json"; }

/// Expects the file of the repository to be `text`, or writes it.
void expect_current(const std::string& name, const std::string& text) {
  const fs::path file = repository() / name;
  if (std::getenv("HARDMOE_WRITE_DOCUMENTS") != nullptr) write_file_atomic(file, text);
  // Where the tests were taken to another machine there are no documents.
  if (!fs::exists(file.parent_path())) GTEST_SKIP() << "no " << name << " beside the tests";
  const auto expected = split(text, '\n');
  const auto found = split(read_file(file), '\n');
  for (size_t i = 0; i < std::max(expected.size(), found.size()); ++i) {
    ASSERT_EQ(i < found.size() ? found[i] : "(end)", i < expected.size() ? expected[i] : "(end)")
        << name << ", line " << i + 1
        << "; write it anew: HARDMOE_WRITE_DOCUMENTS=1 build/bin/test_tasks "
           "--gtest_filter='ConfigurationDocument.*'";
  }
}

TEST(ConfigurationDocument, IsWhatTheSettingsDescribe) {
  expect_current("docs/configuration.md", document());
}

TEST(ConfigurationDocument, SchemaIsWhatTheSettingsDescribe) {
  expect_current("configs/hardmoe.schema.json", schema());
}

// By PyPI's jsonschema, which others validate with: each ready file is valid, what the program
// refuses is not.
TEST(ConfigurationDocument, SchemaJudgesAsAnotherValidatorDoes) {
  if (!fs::exists(schema_file())) GTEST_SKIP() << "no configs/ beside the tests";
  const Outside python = python_with("jsonschema, yaml");
  if (!python.missing.empty()) GTEST_SKIP() << python.missing;
  const fs::path script = test_files() / "../tasks/validate_configurations.py";
  const std::string line =
      fmt::format("{} '{}' '{}'", python.path.string(), script.string(), schema_file().string());
  EXPECT_EQ(std::system(line.c_str()), 0);
}

TEST(ConfigurationDocument, HasEverySettingWithItsMeaning) {
  Config config;
  const std::string text = document();
  const std::function<void(const std::vector<Fields::Field>&, const std::string&)> check =
      [&](const auto& fields, const std::string& prefix) {
        for (const auto& field : fields) {
          EXPECT_FALSE(field.help.empty()) << prefix << field.name << " has no description";
          if (field.section.empty()) {
            EXPECT_NE(text.find(fmt::format("| `{}{}` |", prefix, field.name)), std::string::npos);
          } else {
            check(field.section, prefix + field.name + ".");
          }
        }
      };
  check(fields_of(config).list(), "");
}

}  // namespace
}  // namespace hardmoe
