// The kinds of source, for source.cpp; others call open_source.
#pragma once

#include "data/record_file.h"
#include "ingest/sources/image_store.h"
#include "ingest/sources/metadata.h"
#include "ingest/sources/source.h"

namespace hardmoe {

std::unique_ptr<Source> open_webdataset(const std::filesystem::path& tar,
                                        const SourceOptions& options);

/// `name`: of the list, for messages. `folder`: what its paths are relative to. Throws Error(usage)
/// if it lacks the columns asked for.
struct ListFile {
  std::filesystem::path file;
  std::string name;
  SourceKind kind;  ///< json_lines, csv or tsv
  std::filesystem::path folder;
};
std::unique_ptr<Source> open_list(const ListFile& list, const SourceOptions& options);
/// Throws Error(usage) saying what to do, if a file that begins so is Parquet or UTF-16. `name`: of
/// the file, for messages.
void refuse_foreign_list(std::string_view head, const std::string& name);

/// An image a file; its tags are in a .json or .txt file of the same name; where there is none,
/// they are the names of the folders it is in.
std::unique_ptr<Source> open_folder(const std::filesystem::path& folder,
                                    const SourceOptions& options);

/// Yahoo Flickr Creative Commons 100M: photos of options.images that `metadata` has a line for.
/// `name`: of the metadata, for messages.
std::unique_ptr<Source> open_yfcc100m(const std::filesystem::path& metadata,
                                      const std::string& name, const SourceOptions& options,
                                      const std::filesystem::path& work);

/// A file of CIFAR's binary version; `coarse`: CIFAR-100's records with two labels.
std::unique_ptr<Source> open_cifar(const std::filesystem::path& file, bool coarse);
/// The files beside it that name the labels, coarse ones first.
std::vector<std::filesystem::path> cifar_label_files(const std::filesystem::path& file,
                                                     bool coarse);

/// MNIST's file format: `file` holds unpacked images, `name` is what it was called; the labels are
/// in idx_labels_beside(name).
std::unique_ptr<Source> open_idx(const std::filesystem::path& file,
                                 const std::filesystem::path& name, const SourceOptions& options,
                                 const std::filesystem::path& work);

/// train-images-idx3-ubyte → train-labels-idx1-ubyte, as all of the MNIST family are named; either
/// may be packed. Throws Error(usage) if there is none.
std::filesystem::path idx_labels_beside(const std::filesystem::path& images);

/// `part`: the folder "train" or "val" of Tiny ImageNet.
std::unique_ptr<Source> open_tiny_imagenet(const std::filesystem::path& part,
                                           const SourceOptions& options);

/// Photographs in a folder and its subfolders, whose tags are the keywords inside them and in .xmp
/// files beside them (keywords.h); folders' names are not.
std::unique_ptr<Source> open_photos(const std::filesystem::path& folder,
                                    const SourceOptions& options);
/// Of `sample` images, evenly spread over those of the folder tree, the share (0 … 1) that has
/// keywords and no .json or .txt beside it; 0 where there are no images.
double share_with_keywords(const std::filesystem::path& folder, int64_t sample);

/// img2dataset writes images without the orientation they had, and keeps it in a text "exif" of
/// their metadata: puts it into the item, with the size that was written.
void read_exif_text(const Json& metadata, SourceItem& item);

/// Names of numbered labels, a line each. Throws Error if the file holds none.
std::vector<std::string> read_label_names(const std::filesystem::path& file);

/// `file` itself, or what it holds when it is compressed, unpacked once into `work`.
std::filesystem::path unpacked(const std::filesystem::path& file,
                               const std::filesystem::path& work);

/// Whether files of that extension ("jpg") are images of some format, read or not.
bool is_image_extension(std::string_view lower_case);
/// What a file that is no image is called when it is passed over: "'.md' file".
std::string kind_of_other_file(std::string_view name);
std::string lower_ascii(std::string text);

}  // namespace hardmoe
