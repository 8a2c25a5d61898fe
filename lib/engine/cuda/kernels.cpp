// The host's side of kernels.h: what needs no compiler for the device.
#include "engine/cuda/kernels.h"

#include <cmath>

namespace hardmoe::cuda {
namespace {

int64_t width_of(Precision precision) { return precision == Precision::bf16 ? 2 : 4; }

int64_t bytes_of(Activations array, int64_t n) { return array ? n * width_of(array.precision) : 0; }

}  // namespace

int64_t norm_mask_bytes(Precision precision, int64_t rows, int64_t channels) {
  const int64_t access = precision == Precision::bf16 ? 8 : 4;
  return channels % access == 0 ? rows * channels / access : 0;
}

StepFactors step_factors(const OptimizerSpec& spec, float lr, int64_t step) {
  StepFactors factors;
  factors.lr = lr;
  factors.step = static_cast<uint32_t>(step);
  if (spec.kind != OptimizerKind::adamw) return factors;
  const double t = static_cast<double>(step);
  const double first = 1 - std::pow(static_cast<double>(spec.momentum), t);
  const double second = 1 - std::pow(static_cast<double>(spec.beta2), t);
  factors.step_size = static_cast<float>(static_cast<double>(lr) / first);
  factors.root_correction = static_cast<float>(1 / std::sqrt(second));
  return factors;
}

int64_t bytes_moved(const ImageInput& args) {
  return 3 * args.n + bytes_of(args.out, args.n * args.channels);
}

int64_t bytes_moved(const NormStatistics& args) {
  return bytes_of(args.x, args.rows * args.channels);
}

int64_t bytes_moved(const NormApply& args) {
  const int64_t n = args.rows * args.channels;
  const int64_t mask =
      args.mask != nullptr ? norm_mask_bytes(args.x.precision, args.rows, args.channels) : 0;
  return bytes_of(args.x, n) + bytes_of(args.residual, n) + bytes_of(args.y, n) + mask;
}

int64_t bytes_moved(const NormBackward& args) {
  const int64_t n = args.rows * args.channels;
  const int64_t bits = norm_mask_bytes(args.x.precision, args.rows, args.channels);
  int64_t mask = 0;
  if (args.relu) mask = args.mask != nullptr && bits > 0 ? bits : bytes_of(args.y, n);
  int64_t sums = bytes_of(args.x, n) + bytes_of(args.dy, n) + bytes_of(args.dy2, n) + mask;
  int64_t differences = bytes_of(args.x, n) + bytes_of(args.dy, n) + bytes_of(args.dx, n);
  if (args.keep_g) {
    sums += bytes_of(args.dy, n);
  } else {
    differences += mask;
  }
  return sums + differences;
}

int64_t bytes_moved(const MaxPoolShape& pool, Precision precision, bool with_index) {
  const int64_t in = pool.n * pool.height * pool.width * pool.channels;
  const int64_t out = pool.n * pool.out_height * pool.out_width * pool.channels;
  return (in + out) * width_of(precision) + (with_index ? out : 0);
}

int64_t bytes_moved(const TagLossArgs& args) {
  const int64_t passes = args.kind == LossKind::softmax ? 2 : 1;
  return passes * args.n * args.tags * 4 + bytes_of(args.gradient, args.n * args.tags);
}

int64_t bytes_moved(const Update& args) {
  int64_t learned = 4 + 8 + 8;
  if (args.spec.kind == OptimizerKind::adamw) learned += 8;
  if (args.copies != nullptr) learned += 2;
  if (args.spec.pull != 0) learned += 4;
  int64_t bytes = learned * args.learned;
  if (args.average != nullptr) bytes += 8 * args.length + 4 * (args.length - args.learned);
  return bytes;
}

}  // namespace hardmoe::cuda
