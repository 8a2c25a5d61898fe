#include "app.h"

#include <fcntl.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "base/emergency.h"
#include "base/log.h"
#include "base/mapping_faults.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "base/version.h"
#include "brief_waits.h"
#include "stack.h"

namespace hardmoe {
namespace {

constexpr const char* notes =
    "A word in parentheses is the key of the configuration file that an option is short for.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 75 interrupted{}.\n"
    "Results go to standard output, messages to standard error.";

std::string capitalised(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

/// What --help shows in a value's place.
std::string value_name(const Fields::Field& field) {
  if (field.type.starts_with("a whole number")) return "N";
  if (field.type == "a number") return "NUMBER";
  if (field.type == "true or false") return "true|false";
  if (field.type.ends_with("path") || field.type.ends_with("paths")) return "PATH";
  return field.type.ends_with("text") || field.type.ends_with("texts") ? "TEXT" : "NAME";
}

/// A default as --set takes it.
std::string value_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::vector<std::string> items;
  for (const auto& item : value) items.push_back(value_text(item));
  return "[" + join(items, ",") + "]";
}

int report(const std::string& name, const std::string& message, ExitStatus status) {
  log_failure(name, message);
  return static_cast<int>(status);
}

/// Looks for --log-format json before the command line is parsed, so that mistakes there are told in
/// that form, too.
LogFormat log_format_in(int argc, char** argv) {
  const std::string option = "--log-format";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == option + "=json") return LogFormat::json;
    if (word == option && i + 1 < argc && std::string_view(argv[i + 1]) == "json") {
      return LogFormat::json;
    }
  }
  return LogFormat::text;
}

/// A standard stream that is closed would become the next file opened, and be written into.
void open_standard_streams() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

}  // namespace

Command::Command(std::string name, std::string description)
    : cli_(std::move(description), std::move(name)) {
  cli_.get_formatter()->column_width(34);
  cli_.set_version_flag("--version", fmt::format("{} (hardmoe) {}", cli_.get_name(), version));
  cli_.add_option("--config", config_file_, "YAML configuration file")->type_name("FILE");
  cli_.add_option("--set", overrides_, "Set one configuration key, e.g. base.lr=0.05 (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  cli_.add_option("--threads", threads_, "Compute threads (default: one a processor)")
      ->type_name("N");
  cli_.add_flag("--quiet", quiet_, "Print only warnings and errors");
  cli_.add_option("--log-format", log_format_,
                  "Form of messages on standard error: text, or JSON, an object a line")
      ->type_name("text|json")
      ->default_str("text")
      ->check([](const std::string& found) {
        const bool known = found == "text" || found == "json";
        return known ? "" : fmt::format("expected text or json, found '{}'", found);
      });
  cli_.add_flag_callback(
      "--print-config",
      [this] {
        print_config_ = true;
        needs_nothing();
      },
      "Instead: print the configuration that results, each key with its meaning, as YAML");
  cli_.add_option_function<std::string>("--write-manuals",
                                        [this](const std::string& folder) {
                                          manuals_ = folder;
                                          needs_nothing();
                                        })
      ->group("");  // for the build
}

CLI::Option* Command::setting(const std::string& option, const std::string& key) {
  const auto field = field_at(fields_of(config_), key, option);
  settings_.push_back(std::make_unique<Setting>(Setting{option, key, {}}));
  auto* added = cli_.add_option(option, settings_.back()->values,
                                fmt::format("{} ({})", capitalised(field.help), key));
  if (!field.is_list) added->expected(1);
  choices_[option] = field.choices;
  option_keys_.push_back(key);
  return added->type_name(value_name(field))
      ->default_str(field.is_list ? "" : value_text(field.value()));
}

void Command::flag(const std::string& option, const std::string& key, const std::string& value) {
  const auto help = capitalised(field_at(fields_of(config_), key, option).help);
  option_keys_.push_back(key);
  const std::string assignment = fmt::format("{}={}", key, value);
  cli_.add_flag_callback(
      option, [this, assignment] { overrides_.push_back(assignment); },
      fmt::format("{} ({})", help, value == "true" ? key : assignment));
}

void Command::renamed(const std::string& option, const std::string& instead) {
  renamed_.emplace_back(option, instead);
}

void Command::dataset_argument(std::string& folder) {
  cli_.add_option("DATASET", folder, "Folder written by moe-ingest")->required()->type_name("");
}

CLI::Option* Command::out_option(std::string& folder, const std::string& what) {
  return cli_.add_option("--out", folder, "What to write: a folder, " + what)
      ->required()
      ->type_name("PATH");
}

void Command::stage_options(bool& force, const std::string& help) {
  resumes_ = true;
  cli_.add_flag("--force", force, "Begin again where inputs have changed: " + help);
}

void Command::device_option() { setting("--device", "device")->type_name("DEVICE"); }

void Command::config_from(const std::string& file) {
  cli_.remove_option(cli_.get_option("--config"));
  config_argument_ = &file;
}

void Command::needs_nothing() {
  for (auto* option : cli_.get_options()) option->required(false);
}

Guide Command::describe() const {
  Guide guide{cli_.get_name(),
              cli_.get_description(),
              options_of(cli_),
              {},
              fmt::format(notes, resumes_ ? " (the same command resumes)" : ""),
              examples_};
  for (auto& option : guide.options) {
    const auto found = choices_.find(option.name);
    if (found != choices_.end() && !found->second.empty()) option.choices = found->second;
  }
  Config initial;
  for (const ConfigKey& key : config_keys(fields_of(initial))) {
    const bool read = std::ranges::any_of(
        sections_, [&](const std::string& section) { return key.path.starts_with(section + "."); });
    const bool has_option = std::ranges::find(option_keys_, key.path) != option_keys_.end();
    const bool all = config_argument_ != nullptr;  // it hands them on
    if (key.value.is_null() || !(read || has_option || all)) continue;
    guide.keys.push_back(
        {key.path, value_text(key.value), capitalised(key.help), key.choices, read && !has_option});
  }
  return guide;
}

void Command::read_config() {
  const Fields fields = fields_of(config_);
  const std::string& file = config_argument_ != nullptr ? *config_argument_ : config_file_;
  if (!file.empty()) load_yaml(file, fields);
  for (const auto& assignment : overrides_) apply_override(assignment, fields);
  for (const auto& setting : settings_) {
    if (cli_.count(setting->option) > 0) {
      set_key(fields, setting->key, setting->values, setting->option);
    }
  }
}

int Command::run(int argc, char** argv, const std::function<void()>& body) {
  wait_briefly(argv);
  const std::string name = cli_.get_name();
  open_standard_streams();
  set_log_format(log_format_in(argc, argv));
  const Guide guide = describe();  // before parsing makes what is required optional
  cli_.footer(help_end(guide));
  try {
    cli_.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return cli_.exit(success);
  } catch (const CLI::ParseError& error) {
    return report(name, usage_message(cli_, error, cli_.remaining(), renamed_), ExitStatus::usage);
  }
  try {
    install_signal_handlers();
    set_emergency_name(name.c_str());
    install_mapping_fault_handler();
    install_crash_handlers();
    require_stack();
    if (quiet_) set_log_level(LogLevel::warning);
    if (cli_.count("--threads") > 0) set_compute_threads(threads_);
    if (cli_.count("--write-manuals") > 0) {
      write_manuals(guide, manuals_);
      return static_cast<int>(ExitStatus::done);
    }
    read_config();
    if (print_config_) {
      print(config_yaml(fields_of(config_)));
    } else {
      body();
    }
    if (std::fflush(stdout) != 0) {
      const std::error_code why(errno, std::generic_category());
      if (why != std::errc::broken_pipe) fail("writing standard output: {}", why.message());
      return static_cast<int>(ExitStatus::failed);
    }
    return static_cast<int>(ExitStatus::done);
  } catch (const std::system_error& error) {
    // A reader that has seen enough, such as head, is no fault to speak of.
    if (error.code() == std::errc::broken_pipe) return static_cast<int>(ExitStatus::failed);
    return report(name, error.what(), ExitStatus::failed);
  } catch (const Error& error) {
    return report(name, error.what(), error.status());
  } catch (const std::bad_alloc&) {
    return report(name, "out of memory; try a smaller batch or image size", ExitStatus::failed);
  } catch (const std::exception& error) {
    return report(name, error.what(), ExitStatus::failed);
  }
}

}  // namespace hardmoe
