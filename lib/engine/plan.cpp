#include "engine/plan.h"

#include <algorithm>

namespace hardmoe {
namespace {

size_t index(int number) { return static_cast<size_t>(number); }

}  // namespace

Plan::Plan(const Graph& graph, const CompileOptions& options, const PlanSizes& sizes)
    : graph_(graph),
      sizes_(sizes),
      training_(options.mode == Mode::train),
      bf16_(options.precision == Precision::bf16),
      value_buffers_(graph.types.size(), -1),
      working_buffers_(graph.types.size(), -1),
      saved_buffers_(graph.nodes.size(), -1),
      shared_(graph.types.size(), false),
      gradients_(graph.types.size()) {
  Step input{"input", Pass::input};
  input.y = new_value(0);
  steps_.push_back(input);
  const auto plan = [&](size_t node, bool forward) {
    NodePlan view(*this, static_cast<int>(node));
    std::visit([&](const auto& op) { forward ? op.plan_forward(view) : op.plan_backward(view); },
               graph.nodes[node].op);
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i) plan(i, /*forward=*/true);
  if (!training_) {  // results are read after the last step
    for (const int value : {graph.network.feature, graph.network.logits}) {
      if (value >= 0) use_value(value);
    }
    return;
  }
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const int output = graph.nodes[i].output;
    // Nothing behind it reaches a loss, or nothing before it is trained.
    if (output < 0 || gradients_[index(output)].empty() || !graph.trained_values[index(output)]) {
      continue;
    }
    plan(i, /*forward=*/false);
  }
}

BufferId Plan::new_buffer(Element element, int64_t bytes) {
  const int now = static_cast<int>(steps_.size());
  buffers_.push_back({element, bytes, now, now});
  return static_cast<BufferId>(buffers_.size()) - 1;
}

BufferId Plan::use(BufferId buffer) {
  buffers_[index(buffer)].last = static_cast<int>(steps_.size());
  return buffer;
}

BufferId Plan::new_value(int value) {
  const Element element = graph_.type(value).element;
  return value_buffers_[index(value)] = new_buffer(element, sizes_.value_bytes(value, element));
}

/// Adds up the gradients of a value that more than `most` readers left.
void Plan::merge_gradient(int value, size_t most) {
  auto& pieces = gradients_[index(value)];
  while (pieces.size() > most) {
    Step add{"add", Pass::add};
    add.dy2 = use(pieces.back());
    pieces.pop_back();
    add.dy = use(pieces.back());
    steps_.push_back(add);
  }
}

std::vector<Lifetime> lifetimes_of(const Plan& plan) {
  std::vector<Lifetime> lifetimes;
  for (const Buffer& buffer : plan.buffers()) {
    lifetimes.push_back({buffer.bytes, buffer.first, buffer.last});
  }
  return lifetimes;
}

NodePlan::NodePlan(Plan& plan, int node)
    : plan_(plan), number_(node), node_(plan.graph_.nodes[index(node)]) {}

BufferId NodePlan::input(size_t i) { return plan_.use_value(input_value(i)); }

BufferId NodePlan::working_input(size_t i) {
  const int value = input_value(i);
  if (!plan_.bf16_ || plan_.graph_.type(value).element == Element::working) return input(i);
  BufferId& copy = plan_.working_buffers_[index(value)];
  if (copy < 0) {
    Step convert{"convert", Pass::convert};
    convert.x = {input(i)};
    convert.y = copy =
        plan_.new_buffer(Element::working, plan_.sizes_.value_bytes(value, Element::working));
    plan_.steps_.push_back(convert);
  }
  return plan_.use(copy);
}

BufferId NodePlan::new_output() { return plan_.new_value(node_.output); }

BufferId NodePlan::output_in_place_of(size_t i) {
  const int value = input_value(i);
  const Network& network = plan_.graph_.network;
  const auto& readers = plan_.graph_.readers[index(value)];
  const bool last =
      readers.back() == number_ && std::count(readers.begin(), readers.end(), number_) == 1;
  const bool free =
      last && !plan_.shared_[index(value)] && value != network.feature && value != network.logits;
  if (training() || !free) return new_output();
  return plan_.value_buffers_[index(node_.output)] = input(i);
}

void NodePlan::share_input(size_t i) {
  plan_.value_buffers_[index(node_.output)] = plan_.buffer_of(input_value(i));
  plan_.shared_[index(node_.output)] = plan_.shared_[index(input_value(i))] = true;
}

BufferId NodePlan::saved() {
  BufferId& buffer = plan_.saved_buffers_[index(number_)];
  if (buffer >= 0) return plan_.use(buffer);
  const int64_t bytes = training() ? plan_.sizes_.saved_bytes(number_) : 0;
  if (bytes > 0) buffer = plan_.new_buffer(Element::working, bytes);
  return buffer;
}

bool NodePlan::trains() const { return plan_.graph_.trained_nodes[index(number_)]; }

bool NodePlan::needs_gradient(size_t i) const {
  return plan_.graph_.trained_values[index(input_value(i))];
}

BufferId NodePlan::output() { return plan_.use_value(node_.output); }

BufferId NodePlan::gradient() {
  plan_.merge_gradient(node_.output, 1);
  return plan_.use(plan_.gradients_[index(node_.output)][0]);
}

std::pair<BufferId, BufferId> NodePlan::gradient_pieces() {
  plan_.merge_gradient(node_.output, 2);
  const auto& pieces = plan_.gradients_[index(node_.output)];
  return {plan_.use(pieces[0]), pieces.size() > 1 ? plan_.use(pieces[1]) : -1};
}

BufferId NodePlan::new_gradient_buffer(size_t i) {
  return plan_.new_buffer(Element::working,
                          plan_.sizes_.value_bytes(input_value(i), Element::working));
}

BufferId NodePlan::new_gradient(size_t i) {
  const BufferId piece = new_gradient_buffer(i);
  leave_gradient(i, piece);
  return piece;
}

void NodePlan::leave_gradient(size_t i, BufferId piece) {
  plan_.gradients_[index(input_value(i))].push_back(piece);
}

void NodePlan::add(Step step) {
  step.node = number_;
  plan_.steps_.push_back(std::move(step));
}

}  // namespace hardmoe
