// NumPy's .npy files (format 1.0–2.0, little-endian, C order): written whole or by rows; read
// whole, mapped or in pieces. Not for .npz archives, Fortran order or structured types.
#pragma once

#include <filesystem>

#include "base/files.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// Writes a tensor or vector. The file appears whole or not at all.
void save_npy(const std::filesystem::path& file, const Tensor& tensor);
template <class T>
void save_npy(const std::filesystem::path& file, const std::vector<T>& values);

/// Reads a file. Throws Error naming it if it is not a C-order array of a known type, or if its
/// size does not match its header.
Tensor load_npy(const std::filesystem::path& file);

/// A read-only array mapped from a file. Pages are read when they are touched.
class MappedNpy {
 public:
  /// Throws Error as load_npy does.
  explicit MappedNpy(const std::filesystem::path& file);
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  /// Returns the elements. Throws Error naming the file if T is not the array's type.
  template <class T>
  std::span<const T> as() const {
    check_type(dtype_of<T>);
    return {reinterpret_cast<const T*>(data_), static_cast<size_t>(element_count(shape_))};
  }

 private:
  void check_type(DType wanted) const;
  std::filesystem::path file_;
  MappedFile map_;
  DType dtype_ = DType::f32;
  Shape shape_;
  const std::byte* data_ = nullptr;
};

/// Reads an array in pieces, also from several threads at once, for files larger than memory. Keeps
/// no file open.
class NpyReader {
 public:
  /// Throws Error as load_npy does.
  explicit NpyReader(const std::filesystem::path& file);
  const std::filesystem::path& path() const { return file_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }

  /// Returns the offset in the file at which the elements begin, in bytes.
  size_t offset() const { return offset_; }

  /// Opens the file for the calls below.
  InputFile open() const { return InputFile(file_); }
  /// Copies `count` elements from element `first` on. Throws Error if the file has changed.
  void read(const InputFile& file, int64_t first, int64_t count, void* out) const;
  /// Maps these elements instead of copying them.
  MappedPiece map(const InputFile& file, int64_t first, int64_t count) const;
  /// Announces that these elements are read soon, so that the system can fetch them meanwhile.
  void prefetch(const InputFile& file, int64_t first, int64_t count) const;

 private:
  size_t byte_offset(int64_t element) const {
    return offset_ + static_cast<size_t>(element) * size_of(dtype_);
  }
  std::filesystem::path file_;
  DType dtype_ = DType::f32;
  Shape shape_;
  size_t offset_ = 0;
};

/// Writes an array row by row, for arrays larger than memory. The file appears at finish().
class NpyWriter {
 public:
  /// `row_shape`: the shape of one row, e.g. {512}; {} for a vector of numbers.
  NpyWriter(const std::filesystem::path& file, DType dtype, Shape row_shape);
  /// Appends `rows` rows of the given type and shape.
  void append(const void* data, int64_t rows);
  /// Completes the file. `after`: see AtomicFile::commit().
  void finish(After after = After::synced);

 private:
  AtomicFile output_;
  DType dtype_;
  Shape shape_;
  size_t row_bytes_;
};

template <class T>
void save_npy(const std::filesystem::path& file, const std::vector<T>& values) {
  NpyWriter writer(file, dtype_of<T>, {});
  writer.append(values.data(), static_cast<int64_t>(values.size()));
  writer.finish();
}

}  // namespace hardmoe
