// An embedding on disk: N×D .npy of float32 (mapped, not copied) or float16 (converted), from
// moe-embed or from anything else that writes .npy.
#pragma once

#include <filesystem>
#include <memory>

#include "cluster/matrix_view.h"
#include "tensor/npy.h"

namespace hardmoe {

class EmbeddingFile {
 public:
  /// Throws Error naming the file unless it is a matrix of float32, float16 or float64, with at
  /// least one row and column, all finite.
  explicit EmbeddingFile(const std::filesystem::path& file);

  /// Valid while this lives.
  MatrixView view() const { return view_; }

 private:
  std::unique_ptr<MappedNpy> map_;
  Tensor converted_;  ///< empty where the file is float32 already
  MatrixView view_;
};

}  // namespace hardmoe
