// Configuration as plain structs: a struct lists its fields once, and from that list it is read
// from YAML, overridden with `--set a.b=c`, checked for unknown keys, and written back (frozen).
//
//   struct Schedule {
//     int epochs = 5;
//     void describe(Fields& f) { f.add("epochs", epochs, "passes over the data"); }
//   };
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace hardmoe {

class Fields {
 public:
  void add(std::string name, bool& value, std::string help);
  void add(std::string name, int& value, std::string help);
  void add(std::string name, int64_t& value, std::string help);
  void add(std::string name, uint64_t& value, std::string help);
  void add(std::string name, double& value, std::string help);
  void add(std::string name, std::string& value, std::string help);
  void add(std::string name, std::vector<std::string>& value, std::string help);
  void add(std::string name, std::vector<double>& value, std::string help);
  void add(std::string name, std::filesystem::path& value, std::string help);
  void add(std::string name, std::vector<std::filesystem::path>& value, std::string help);

  /// Adds a list of texts that is stored in another form. `set` must throw Error(usage) for texts
  /// that are invalid. `choices`: all that are valid, if they can be listed.
  void add_list(std::string name, std::function<std::vector<std::string>()> get,
                std::function<void(const std::vector<std::string>&)> set, std::string help,
                std::vector<std::string> choices = {});
  void add(std::string name, std::array<double, 3>& value, std::string help);

  /// An enumeration by its names, given in the order of its values from 0.
  template <class E>
  // NOLINTNEXTLINE(performance-unnecessary-value-param): moved on
  void add_enum(std::string name, E& value, std::vector<std::string> names, std::string help) {
    add_choice(
        std::move(name), std::move(names), [&value] { return static_cast<size_t>(value); },
        [&value](size_t index) { value = static_cast<E>(index); }, std::move(help));
  }

  /// A nested struct with its own describe().
  template <class Section>
  void add_section(std::string name, Section& section, std::string help) {
    Fields inner;
    section.describe(inner);
    add_fields(std::move(name), std::move(inner), std::move(help));
  }

  /// Refuses a key that existed in earlier versions. `instead`: a clause that says what to write,
  /// such as "the section ingest: has these".
  void add_moved(std::string name, std::string instead);

  /// A key of earlier versions.
  struct Moved {
    std::string name, instead;
  };
  struct Field {
    std::string name;
    std::string help;
    std::string type;  ///< "a number", "true or false", …
    bool is_list = false;
    std::function<bool(const std::vector<std::string>&)> parse;  ///< false: not of that type
    std::function<Json()> value;
    std::vector<Field> section = {};        ///< nested fields, else empty
    std::vector<Moved> moved = {};          ///< keys that a section had
    std::vector<std::string> choices = {};  ///< the texts it takes, or each of the list's; else any
  };
  const std::vector<Field>& list() const { return fields_; }
  const std::vector<Moved>& moved() const { return moved_; }

 private:
  void add_choice(std::string name, std::vector<std::string> names, std::function<size_t()> get,
                  std::function<void(size_t)> set, std::string help);
  void add_fields(std::string name, Fields inner, std::string help);
  std::vector<Field> fields_;
  std::vector<Moved> moved_;
};

/// Reads a YAML file into the fields; absent keys keep their values. Throws Error(usage) naming
/// file, line, key, and the nearest known key, or the type expected and the text found.
void load_yaml(const std::filesystem::path& file, const Fields& fields);

/// Returns the text of a key at the top of a YAML file; empty if the key is missing. Throws
/// Error(usage) if the file is not YAML.
std::string yaml_text(const std::filesystem::path& file, const std::string& key);

/// The field at "train.lr". Throws Error(usage), which `where` begins, for an unknown path or a
/// section.
Fields::Field field_at(const Fields& fields, std::string_view path, const std::string& where);

/// Sets the key at `path` to a value given as text, a list to several. Throws Error(usage), whose
/// message begins with `where`, as field_at does and if the values are not of the key's type.
void set_key(const Fields& fields, std::string_view path, const std::vector<std::string>& values,
             const std::string& where);

/// Applies "train.lr=0.1"; a list is "a=[1,2]". Throws Error(usage) as load_yaml does.
void apply_override(std::string_view assignment, const Fields& fields);

/// A key, as the documents list it.
struct ConfigKey {
  std::string path;  ///< "base.augment.flip"; for a section "base.augment"
  std::string type;  ///< "a number", "one of sgd, adamw", "a section" …
  std::string help;
  Json value;  ///< the current value: the default, if nothing was read; null for a section
  std::vector<std::string> choices;  ///< as Field's
};
/// Returns all keys and sections in the order of describe(), each section before its keys.
std::vector<ConfigKey> config_keys(const Fields& fields);

/// The fields' present values.
Json config_json(const Fields& fields);

/// As YAML with each field's help as a comment; load_yaml reads it back to the same values.
std::string config_yaml(const Fields& fields);

template <class Config>
Fields fields_of(Config& config) {
  Fields fields;
  config.describe(fields);
  return fields;
}

}  // namespace hardmoe
