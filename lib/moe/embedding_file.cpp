#include "moe/embedding_file.h"

#include "base/error.h"

namespace hardmoe {

EmbeddingFile::EmbeddingFile(const std::filesystem::path& file)
    : map_(std::make_unique<MappedNpy>(file)) {
  const Shape shape = map_->shape();
  if (shape.size() != 2 || element_count(shape) == 0) {
    fail("{}: shape {}, expected images × dimensions", file.string(), to_string(shape));
  }
  switch (map_->dtype()) {
    case DType::f32:
      view_ = {map_->as<float>().data(), shape[0], shape[1]};
      break;
    case DType::f16:
    case DType::f64:
      converted_ = to_float32(load_npy(file));
      map_.reset();
      view_ = matrix_view(converted_);
      break;
    default:
      fail("{}: holds {}, expected float32 or float16", file.string(), name_of(map_->dtype()));
  }
  if (const int64_t row = first_row_not_finite(view_); row >= 0) {
    fail(
        "{}: row {} holds a NaN or an infinity; embed again, and look whether the base's training "
        "diverged",
        file.string(), row);
  }
}

}  // namespace hardmoe
