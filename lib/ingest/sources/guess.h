// Guesses what kind of source a file or folder is, by its content. For sources.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/sources/source.h"

namespace hardmoe {

/// "tars, lists …": what can be named as a source, for messages.
extern const char* const sources_there_are;
/// Returns all kinds' names: "webdataset, jsonl, …".
std::string all_source_kinds();
/// Returns the kind of that name, or nothing.
std::optional<SourceKind> source_kind_named(std::string_view name);
bool is_list(SourceKind kind);

/// Returns a file's kind by its content and, if that is ambiguous, by its extension. `name`: the
/// file's name, for messages. Throws Error(usage), saying what to do, if it is not a source.
SourceKind kind_of_file(const std::filesystem::path& file, const std::string& name);

/// Returns a folder's kind. Throws Error(usage) if tars and images lie side by side, and for the
/// Python version of CIFAR.
SourceKind kind_of_folder(const std::filesystem::path& folder);

/// Returns whether it is a file that img2dataset writes beside its tars and folders
/// (KEY_stats.json, KEY.parquet), or the labels of IDX images.
bool is_companion(const std::filesystem::path& file);
bool is_compressed_tar(const std::filesystem::path& file);
/// Returns whether the name is that of images in MNIST's file format.
bool is_idx_images(const std::filesystem::path& file);

/// Returns all tars below the folder in path order, without hidden ones. Other files are counted in
/// `report`, if given.
std::vector<std::filesystem::path> tars_in(const std::filesystem::path& folder,
                                           SourceReport* report = nullptr);

}  // namespace hardmoe
