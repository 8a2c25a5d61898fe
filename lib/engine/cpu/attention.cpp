#include "engine/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t queries_at_once = 64;  // so that their weights stay in the cache

HARDMOE_VECTOR_KERNEL float largest(const float* row, int64_t n) {
  Vec tops = splat(row[0]);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) tops = max(load(row + i), tops);
  float top = row[0];
  for (; i < n; ++i) top = std::max(row[i], top);
  for (int64_t lane = 0; lane < lanes; ++lane) top = std::max(tops[lane], top);
  return top;
}

HARDMOE_VECTOR_KERNEL void multiply(float* row, int64_t n, float factor) {
  for (int64_t i = 0; i < n; ++i) row[i] *= factor;
}

/// Makes a row of scores weights that sum to 1.
void softmax(float* row, int64_t n) {
  multiply(row, n, 1 / exponential_sum(row, largest(row, n), n, row));
}

/// From a row's weights p and their gradient g: that of the scores, p·(g − Σ p·g), in g's place.
HARDMOE_VECTOR_KERNEL void softmax_backward(const float* p, int64_t n, float* g) {
  Vec products = {};
  float rest = 0;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) products += load(p + i) * load(g + i);
  for (; i < n; ++i) rest += p[i] * g[i];
  const float mean = sum(products) + rest;
  for (i = 0; i < n; ++i) g[i] = p[i] * (g[i] - mean);
}

/// A row-major matrix of float32; `pitch` values lie from one row to the next.
struct Matrix {
  float* data;
  int64_t pitch;
  Matrix from_row(int64_t row) const { return {data + row * pitch, pitch}; }
};

enum class Transposed { none, a, b };

/// c = [c +] factor·a·b, m×n, where a is m×k and b is k×n, each after it was transposed, if it is.
void multiply(Transposed which, int64_t m, int64_t n, int64_t k, float factor, Matrix a, Matrix b,
              bool add, Matrix c) {
  dnnl::sgemm(which == Transposed::a ? 'T' : 'N', which == Transposed::b ? 'T' : 'N', m, n, k,
              factor, a.data, a.pitch, b.data, b.pitch, add ? 1.0F : 0.0F, c.data, c.pitch);
}

/// Where the rows of one image and head lie in an array, or a copy of them as float32.
class HeadRows {
 public:
  /// `first`: the head's first channel in a row of `channels`. If the array is not float32, `room`
  /// takes the copy.
  HeadRows(Activations array, int64_t image, int64_t first, int64_t tokens, int64_t channels,
           int64_t width, float* room)
      : array_(array),
        offset_(image * tokens * channels + first),
        tokens_(tokens),
        channels_(channels),
        width_(width) {
    const bool lies = array.precision == Precision::fp32;
    matrix_ =
        lies ? Matrix{static_cast<float*>(array.data) + offset_, channels} : Matrix{room, width};
  }
  HeadRows& read() {
    if (array_.precision == Precision::fp32) return *this;
    for (int64_t t = 0; t < tokens_; ++t) {
      to_float({half(t), array_.precision}, width_, matrix_.data + t * width_);
    }
    return *this;
  }
  void write() const {
    if (array_.precision == Precision::fp32) return;
    for (int64_t t = 0; t < tokens_; ++t) to_bf16(matrix_.data + t * width_, width_, half(t));
  }
  Matrix matrix() const { return matrix_; }

 private:
  BFloat16* half(int64_t token) const {
    return static_cast<BFloat16*>(array_.data) + offset_ + token * channels_;
  }
  Activations array_;
  int64_t offset_, tokens_, channels_, width_;
  Matrix matrix_;
};

class AttentionLayer final : public Layer {
 public:
  AttentionLayer(const Attention& op, LayerBuilder& builder)
      : heads_(op.heads),
        channels_(builder.output().extent.channels),
        width_(channels_ / heads_),
        tokens_(builder.input().planned_rows(1)),
        items_(builder.batch() * heads_),
        shares_(std::min<int64_t>(items_, compute_threads())),
        scale_(1 / std::sqrt(static_cast<float>(width_))) {
    builder.need_scratch(static_cast<size_t>(shares_ * room_size()) * sizeof(float));
  }

  Work work(const Step& step, const Arrays& arrays) override {
    auto* rooms = static_cast<float*>(arrays.scratch().data);
    const Activations qkv = arrays.activations(step.x[0]);
    if (step.pass == Pass::forward) {
      return [=, this, y = arrays.activations(step.y)] {
        for_items(rooms, [&](int64_t item, Room& room) { forward(qkv, item, room, y); });
      };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      for_items(rooms, [&](int64_t item, Room& room) { backward(qkv, dy, item, room, dx); });
    };
  }

 private:
  /// A thread's memory, handed out in pieces.
  struct Room {
    float* next;
    float* take(int64_t floats) {
      float* piece = next;
      next += floats;
      return piece;
    }
  };
  /// Seven copies of a head's rows (three of them gradients), and two blocks of weights.
  int64_t room_size() const {
    return 7 * tokens_ * width_ + 2 * std::min(tokens_, queries_at_once) * tokens_;
  }

  /// Calls body(number of an image and head, a room) for all, in parallel.
  template <class Body>
  void for_items(float* rooms, const Body& body) const {
    parallel_for(shares_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t share = begin; share < end; ++share) {
        for (int64_t i = items_ * share / shares_; i < items_ * (share + 1) / shares_; ++i) {
          Room room{rooms + share * room_size()};
          body(i, room);
        }
      }
    });
  }
  /// part: 0 queries, 1 keys, 2 values.
  HeadRows part_of(Activations qkv, int64_t item, int part, Room& room) const {
    return {qkv,
            item / heads_,
            part * channels_ + item % heads_ * width_,
            tokens_,
            3 * channels_,
            width_,
            room.take(tokens_ * width_)};
  }
  HeadRows output_of(Activations y, int64_t item, Room& room) const {
    return {y,         item / heads_, item % heads_ * width_,     tokens_,
            channels_, width_,        room.take(tokens_ * width_)};
  }

  /// The weights of `n` queries: a row each.
  void weights(Matrix queries, int64_t n, Matrix keys, Matrix to) const {
    multiply(Transposed::b, n, tokens_, width_, scale_, queries, keys, false, to);
    for (int64_t i = 0; i < n; ++i) softmax(to.from_row(i).data, tokens_);
  }

  void forward(Activations qkv, int64_t item, Room& room, Activations y) const {
    const Matrix q = part_of(qkv, item, 0, room).read().matrix();
    const Matrix k = part_of(qkv, item, 1, room).read().matrix();
    const Matrix v = part_of(qkv, item, 2, room).read().matrix();
    const HeadRows out = output_of(y, item, room);
    const Matrix p = {room.take(std::min(tokens_, queries_at_once) * tokens_), tokens_};
    for (int64_t first = 0; first < tokens_; first += queries_at_once) {
      const int64_t n = std::min(queries_at_once, tokens_ - first);
      weights(q.from_row(first), n, k, p);
      multiply(Transposed::none, n, width_, tokens_, 1, p, v, false, out.matrix().from_row(first));
    }
    out.write();
  }

  /// With P the weights and S the scores before the softmax: dV = Pᵀ·dY, dP = dY·Vᵀ, and from dS
  /// dQ = dS·K/√d, dK = dSᵀ·Q/√d.
  void backward(Activations qkv, Activations dy, int64_t item, Room& room, Activations dx) const {
    const Matrix q = part_of(qkv, item, 0, room).read().matrix();
    const Matrix k = part_of(qkv, item, 1, room).read().matrix();
    const Matrix v = part_of(qkv, item, 2, room).read().matrix();
    const Matrix slope = output_of(dy, item, room).read().matrix();
    const HeadRows dq = part_of(dx, item, 0, room), dk = part_of(dx, item, 1, room);
    const HeadRows dv = part_of(dx, item, 2, room);
    const int64_t block = std::min(tokens_, queries_at_once) * tokens_;
    const Matrix p = {room.take(block), tokens_}, ds = {room.take(block), tokens_};
    for (int64_t first = 0; first < tokens_; first += queries_at_once) {
      const int64_t n = std::min(queries_at_once, tokens_ - first);
      const Matrix some_q = q.from_row(first), some_slope = slope.from_row(first);
      const bool add = first > 0;
      weights(some_q, n, k, p);
      multiply(Transposed::a, tokens_, width_, n, 1, p, some_slope, add, dv.matrix());
      multiply(Transposed::b, n, tokens_, width_, 1, some_slope, v, false, ds);
      for (int64_t i = 0; i < n; ++i) {
        softmax_backward(p.from_row(i).data, tokens_, ds.from_row(i).data);
      }
      multiply(Transposed::none, n, width_, tokens_, scale_, ds, k, false,
               dq.matrix().from_row(first));
      multiply(Transposed::a, tokens_, width_, n, scale_, ds, some_q, add, dk.matrix());
    }
    for (const HeadRows* rows : {&dq, &dk, &dv}) rows->write();
  }

  int64_t heads_, channels_, width_;  ///< width: of a head
  int64_t tokens_;
  int64_t items_;   ///< images × heads
  int64_t shares_;  ///< of the items, one a thread
  float scale_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Attention& op, LayerBuilder& builder) {
  return std::make_unique<AttentionLayer>(op, builder);
}

}  // namespace hardmoe::cpu
