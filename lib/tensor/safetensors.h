// .safetensors files: an 8-byte length, a JSON header, then raw little-endian tensors.
// https://github.com/huggingface/safetensors — read and written by PyTorch, timm, ONNX tools.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace hardmoe {

/// Tensors by name, in name order, so that equal contents give equal bytes.
using StateDict = std::map<std::string, Tensor>;
using Metadata = std::map<std::string, std::string>;

void save_safetensors(const std::filesystem::path& file, const StateDict& tensors,
                      const Metadata& metadata = {});

/// Throws Error naming the file and tensor for a truncated or inconsistent file: as in the package
/// itself, tensors cover all bytes behind the header, each once. Tensors of types that DType has
/// not (BOOL, I8, F8_E4M3 …) are left out.
StateDict load_safetensors(const std::filesystem::path& file, Metadata* metadata = nullptr);

/// The tensor `name` of `tensors`. Throws Error naming `where` and what is missing or of which
/// shape it is instead, if `shape` is given.
const Tensor& require_tensor(const StateDict& tensors, const std::string& name,
                             const std::string& where, const Shape* shape = nullptr);

}  // namespace hardmoe
