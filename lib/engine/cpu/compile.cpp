// The compiling half of CpuProgram: layers made, steps planned, memory laid out, work bound to it.
#include "base/error.h"
#include "engine/cpu/program.h"

namespace hardmoe::cpu {

CpuProgram::CpuProgram(const Network& network, const CompileOptions& options)
    : Program(options),
      graph_(make_graph(network, options, /*folds=*/true)),
      options_(options),
      training_(options.mode == Mode::train) {
  make_layers();
  plan_ = std::make_unique<Plan>(graph_, options_, static_cast<const PlanSizes&>(*this));
  take_memory();
  bind_steps();
}

void CpuProgram::make_layers() {
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    LayerBuilder builder(graph_, static_cast<int>(i), options_, parameters_, scratch_bytes_);
    layers_.push_back(
        std::visit([&](const auto& op) { return make_layer(op, builder); }, graph_.nodes[i].op));
  }
  parameters_.lay_out();
}

int64_t CpuProgram::value_bytes(int value, Element element) const {
  const ValueType& type = graph_.type(value);
  const bool two = element == Element::working && options_.precision == Precision::bf16;
  return type.planned_rows(options_.batch) * type.extent.elements() * (two ? 2 : 4);
}

int64_t CpuProgram::saved_bytes(int node) const {
  return layers_[static_cast<size_t>(node)]->saved_bytes();
}

void CpuProgram::take_memory() {
  const auto array = [&](bool wanted) {
    return Tensor(DType::f32, {wanted ? parameters_.length() : 0});
  };
  weights_ = array(true);
  gradients_ = array(training_);
  first_moment_ = array(training_);
  second_moment_ = array(training_ && options_.optimizer.kind == OptimizerKind::adamw);
  average_ = array(training_ && options_.optimizer.ema_decay > 0);
  origin_ = array(training_ && options_.optimizer.pull != 0);
  memory_plan_ = plan_memory(lifetimes_of(*plan_));
  arena_ = Tensor(DType::u8, {memory_plan_.total_bytes});
  scratch_ = Tensor(DType::u8, {static_cast<int64_t>(scratch_bytes_)});
  running_.loss_sums.assign(options_.losses.size(), 0.0);
}

void CpuProgram::bind_steps() {
  for (const auto& layer : layers_) layer->place(*this);
  for (const Step& step : plan_->steps()) work_.push_back(work_of(step));
  seconds_.assign(work_.size(), 0.0);
}

Work CpuProgram::work_of(const Step& step) {
  switch (step.pass) {
    case Pass::input:
      return take_input(step);
    case Pass::convert: {
      const Activations to = activations(step.y);
      const int64_t n = plan_->buffer(step.y).bytes / 2;
      return [=, from = floats(step.x[0])] { convert(from, n, to); };
    }
    case Pass::add: {
      const Activations sum = activations(step.dy), term = activations(step.dy2);
      const bool two = sum.precision == Precision::bf16;
      const int64_t n = plan_->buffer(step.dy).bytes / (two ? 2 : 4);
      return [=] { add_in_place(sum, term, n); };
    }
    default:
      return layers_[static_cast<size_t>(step.node)]->work(step, *this);
  }
}

Work CpuProgram::take_input(const Step& step) {
  const Extent in = graph_.network.extent;
  const Activations to = activations(step.y);
  if (graph_.network.input != InputKind::image) {
    return [this, in, to] {
      const Batch& batch = *running_.batch;
      convert(batch.input.as<float>().data(), batch.size * in.elements(), to);
    };
  }
  return [this, in, to] {
    const Batch& batch = *running_.batch;
    normalize_images(batch.input.as<uint8_t>().data(), batch.size * in.positions(),
                     graph_.network.mean, graph_.network.deviation, to);
  };
}

std::byte* CpuProgram::at(BufferId buffer) const {
  return arena_.data() + memory_plan_.offsets[static_cast<size_t>(buffer)];
}

Activations CpuProgram::activations(BufferId buffer) const {
  if (buffer < 0) return {};
  const bool working = plan_->buffer(buffer).element == Element::working;
  return {at(buffer), working ? options_.precision : Precision::fp32};
}

Scratch CpuProgram::scratch() const { return {scratch_.data(), scratch_.bytes()}; }

float* CpuProgram::weights(int parameter) const {
  return weights_.as<float>().data() + parameters_.offset(parameter);
}

float* CpuProgram::gradient(int parameter) const {
  return gradients_.as<float>().data() + parameters_.offset(parameter);
}

}  // namespace hardmoe::cpu
