// NumPy's .npy files (format 1.0–2.0, little-endian, C order): written whole, read or
// memory-mapped.
#pragma once

#include <filesystem>

#include "base/files.h"
#include "tensor/tensor.h"

namespace hardmoe {

void save_npy(const std::filesystem::path& file, const Tensor& tensor);
template <class T>
void save_npy(const std::filesystem::path& file, const std::vector<T>& values);

/// Throws Error naming the file for anything that is not a C-order array of a known type, or whose
/// size does not match its header.
Tensor load_npy(const std::filesystem::path& file);

/// A read-only array mapped from a file; the pages are read when touched.
class MappedNpy {
 public:
  explicit MappedNpy(const std::filesystem::path& file);
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  /// Throws Error naming the file if T is not the array's type.
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

/// An array read in pieces, by threads side by side, for files larger than memory. No file stays
/// open but those the caller holds.
class NpyReader {
 public:
  /// Throws Error as load_npy does.
  explicit NpyReader(const std::filesystem::path& file);
  const std::filesystem::path& path() const { return file_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }

  /// Where in the file the elements begin.
  size_t offset() const { return offset_; }

  /// The file, for the calls below.
  InputFile open() const { return InputFile(file_); }
  /// Copies `count` elements from element `first` on. Throws Error where the file has changed.
  void read(const InputFile& file, int64_t first, int64_t count, void* out) const;
  /// The same where they lie.
  MappedPiece map(const InputFile& file, int64_t first, int64_t count) const;
  /// These elements are read soon: the system may fetch them meanwhile.
  void expect(const InputFile& file, int64_t first, int64_t count) const;

 private:
  size_t place(int64_t element) const {
    return offset_ + static_cast<size_t>(element) * size_of(dtype_);
  }
  std::filesystem::path file_;
  DType dtype_ = DType::f32;
  Shape shape_;
  size_t offset_ = 0;
};

/// Writes rows one block after another, for arrays larger than memory. The file appears at
/// finish().
class NpyWriter {
 public:
  /// row_shape: the shape of one row, e.g. {512}; {} for a vector of scalars.
  NpyWriter(const std::filesystem::path& file, DType dtype, Shape row_shape);
  /// Appends `rows` rows of the writer's type and shape.
  void append(const void* data, int64_t rows);
  /// after: as AtomicFile::commit() has it.
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
