// A model or a mixture as one ONNX file that stands alone: what it takes and gives, and texts about
// it. docs/onnx.md describes the form for those who use such files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "export/mixture_graph.h"
#include "train/model_folder.h"

namespace hardmoe {

/// What a file takes.
struct ModelFileForm {
  bool one_image = false;      ///< N is 1; else any
  bool preprocessing = false;  ///< whole images as uint8 N×H×W×3; else views as float32 N×3×S×S
};

/// Writes FILE, and FILE.data if the weights are many, of one network; returns their names.
/// `tags`: of the classifier head's rows; none: not told.
std::vector<std::string> write_model_file(const std::filesystem::path& file, const Model& model,
                                          const std::optional<Vocabulary>& tags,
                                          const ModelFileForm& form);

/// The same of a mixture. Throws as write_mixture() does.
std::vector<std::string> write_mixture_file(const std::filesystem::path& file,
                                            const Mixture& mixture, const AnswerSettings& answer,
                                            const std::optional<Vocabulary>& tags,
                                            const ModelFileForm& form);

}  // namespace hardmoe
