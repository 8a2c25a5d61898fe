// The functions that open each kind of source, for sources.cpp. Others call open_source.
#pragma once

#include "data/record_file.h"
#include "ingest/sources/image_store.h"
#include "ingest/sources/metadata.h"
#include "ingest/sources/source.h"

namespace hardmoe {

/// Opens a WebDataset tar.
std::unique_ptr<Source> open_webdataset(const std::filesystem::path& tar,
                                        const SourceOptions& options);

/// A list of images. `name`: for messages. `folder`: what its paths are relative to.
struct ListFile {
  std::filesystem::path file;
  std::string name;
  SourceKind kind;  ///< json_lines, csv or tsv
  std::filesystem::path folder;
};
/// Opens a list. Throws Error(usage) if it lacks the columns asked for.
std::unique_ptr<Source> open_list(const ListFile& list, const SourceOptions& options);
/// Throws Error(usage), saying what to do, if a file that begins with `head` is Parquet or UTF-16.
/// `name`: for messages.
void refuse_foreign_list(std::string_view head, const std::string& name);

/// Opens a folder of images. An image's tags are in the .json or .txt file of the same name; if
/// there is none, they are the names of the folders it is in.
std::unique_ptr<Source> open_folder(const std::filesystem::path& folder,
                                    const SourceOptions& options);

/// Opens Yahoo Flickr Creative Commons 100M: the photos in options.images that `metadata` has a
/// line for. `name`: of the metadata, for messages.
std::unique_ptr<Source> open_yfcc100m(const std::filesystem::path& metadata,
                                      const std::string& name, const SourceOptions& options,
                                      const std::filesystem::path& work);

/// Opens a file of CIFAR's binary version. `coarse`: CIFAR-100's records, with two labels.
std::unique_ptr<Source> open_cifar(const std::filesystem::path& file, bool coarse);
/// Returns the files beside it that name the labels, coarse ones first.
std::vector<std::filesystem::path> cifar_label_files(const std::filesystem::path& file,
                                                     bool coarse);

/// Opens images in MNIST's file format. `file` holds them unpacked, `name` is the original file;
/// the labels are in idx_labels_beside(name).
std::unique_ptr<Source> open_idx(const std::filesystem::path& file,
                                 const std::filesystem::path& name, const SourceOptions& options,
                                 const std::filesystem::path& work);

/// Returns the labels' file, named as in the MNIST family: train-images-idx3-ubyte →
/// train-labels-idx1-ubyte; either may be compressed. Throws Error(usage) if there is none.
std::filesystem::path idx_labels_beside(const std::filesystem::path& images);

/// Opens the folder "train" or "val" of Tiny ImageNet.
std::unique_ptr<Source> open_tiny_imagenet(const std::filesystem::path& split_folder,
                                           const SourceOptions& options);

/// Opens a folder of photographs with subfolders. Tags are the keywords inside the files and in
/// .xmp files beside them (keywords.h), not the folders' names.
std::unique_ptr<Source> open_photos(const std::filesystem::path& folder,
                                    const SourceOptions& options);
/// Returns the share (0 … 1) of images with keywords and without a .json or .txt file beside them,
/// in an evenly spread sample of `sample` images of the folder tree; 0 if there are no images.
double share_with_keywords(const std::filesystem::path& folder, int64_t sample);

/// Sets the item's orientation and stored size from the text "exif" of its metadata, where
/// img2dataset keeps what it does not write into the image.
void read_exif_text(const Json& metadata, SourceItem& item);

/// Reads the names of numbered labels, one a line. Throws Error if the file holds none.
std::vector<std::string> read_label_names(const std::filesystem::path& file);

/// Returns `file` itself or, if it is compressed, its content unpacked into `work` (only once).
std::filesystem::path unpacked(const std::filesystem::path& file,
                               const std::filesystem::path& work);

/// Returns whether files with that extension ("jpg") are images, whether of a readable format or
/// not.
bool is_image_extension(std::string_view lower_case);
/// Returns how a file that is no image is named when it is passed over: "'.md' file".
std::string kind_of_other_file(std::string_view name);
std::string lower_ascii(std::string text);

}  // namespace hardmoe
