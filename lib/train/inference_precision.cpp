#include "train/inference_precision.h"

namespace hardmoe {

void add_inference_precision(Fields& f, InferencePrecision& precision) {
  f.add_enum(
      "precision", precision, {"training", "fp32", "tf32", "bf16"},
      "arithmetic of convolutions; training: a model's is base.precision, or sparse.precision if "
      "it has layers of experts, a mixture's expert.precision");
}

Precision inference_precision(InferencePrecision asked, Precision training) {
  switch (asked) {
    case InferencePrecision::fp32:
      return Precision::fp32;
    case InferencePrecision::tf32:
      return Precision::tf32;
    case InferencePrecision::bf16:
      return Precision::bf16;
    case InferencePrecision::training:
      break;
  }
  return training;
}

}  // namespace hardmoe
