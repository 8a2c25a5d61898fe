// .safetensors files: an 8-byte length, a JSON header, then raw little-endian tensors, as PyTorch,
// timm and others read and write them (https://github.com/huggingface/safetensors). Read and
// written whole; not for files larger than memory.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace hardmoe {

/// Tensors by name. Their order by name makes equal contents give equal bytes.
using StateDict = std::map<std::string, Tensor>;
/// The texts under "__metadata__" in the header.
using Metadata = std::map<std::string, std::string>;

/// Writes tensors and metadata. The file appears whole or not at all.
void save_safetensors(const std::filesystem::path& file, const StateDict& tensors,
                      const Metadata& metadata = {});

/// Reads all tensors of types that DType has; others (BOOL, I8, F8_E4M3 …) are left out. Throws
/// Error naming the file and tensor if the file is truncated or inconsistent: as the safetensors
/// package requires, tensors must cover all bytes after the header, each once. `wanted`: whether a
/// tensor of a name is read; empty: all.
StateDict load_safetensors(const std::filesystem::path& file, Metadata* metadata = nullptr,
                           const std::function<bool(const std::string& name)>& wanted = {});

/// Returns the tensor `name` of `tensors`. Throws Error naming `where` if it is missing or, if
/// `shape` is given, of another shape.
const Tensor& require_tensor(const StateDict& tensors, const std::string& name,
                             const std::string& where, const Shape* shape = nullptr);

}  // namespace hardmoe
