// What kind of source a file or folder is, by its content. For sources.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/sources/source.h"

namespace hardmoe {

/// "tars, lists …": for messages about what can be named.
extern const char* const sources_there_are;
/// "webdataset, jsonl, …".
std::string all_source_kinds();
std::optional<SourceKind> source_kind_named(std::string_view name);
bool is_list(SourceKind kind);

/// By its content, and where that leaves it open by its extension. `name`: of the file, for
/// messages. Throws Error(usage) for what is none, with what to do about it.
SourceKind kind_of_file(const std::filesystem::path& file, const std::string& name);

/// Throws Error(usage) where tars and images lie side by side, and for the Python version of CIFAR.
SourceKind kind_of_folder(const std::filesystem::path& folder);

/// Whether it is what img2dataset writes beside its tars and folders (KEY_stats.json,
/// KEY.parquet), or the labels of IDX images.
bool is_companion(const std::filesystem::path& file);
bool is_compressed_tar(const std::filesystem::path& file);
/// The images of MNIST's file format, by their name.
bool is_idx_images(const std::filesystem::path& file);

/// Tars anywhere below the folder, in path order, hidden ones left out; what else there is is
/// counted in `report` if there is one.
std::vector<std::filesystem::path> tars_in(const std::filesystem::path& folder,
                                           SourceReport* report = nullptr);

}  // namespace hardmoe
