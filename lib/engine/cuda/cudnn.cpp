// Convolutions by cuDNN's graph API. The only file that includes cudnn_frontend.h, which costs most
// of a minute to compile.
#include <cudnn_frontend.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/log.h"
#include "engine/cuda/conv_plan.h"
#include "engine/cuda/plan_cache.h"
#include "engine/cuda/plan_choice.h"
#include "engine/cuda/plan_key.h"
#include "engine/cuda_engine.h"
#include "gpu/cuda/check.h"

namespace hardmoe::cuda {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Graph;
using fe::graph::Tensor_attributes;

constexpr int64_t most_workspace = int64_t{1} << 30;  // of one plan; all share one workspace
constexpr int most_compiled = 2;  // plans of a request whose code is compiled, 0.35 to 0.75 s each

// Names of the tensors of every graph below, in place of pointers when it runs.
enum Id : int64_t { id_x = 1, id_weights, id_y, id_sum, id_squares };

void check(fe::error_t status, const char* what) {
  if (status.is_bad()) fail("cuDNN failed {}: {}", what, status.get_message());
}

std::string version_text() {
  const auto version = static_cast<int64_t>(fe::detail::get_backend_version());
  return fmt::format("cuDNN {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

// ---- graphs ----

/// cuDNN names dimensions in NCHW order whatever the layout; strides say NHWC.
Tensor_attributes tensor(const char* name, Id id, std::vector<int64_t> dims, fe::DataType_t type) {
  const std::vector<int64_t> strides = {dims[1] * dims[2] * dims[3], 1, dims[1] * dims[3], dims[1]};
  return Tensor_attributes()
      .set_name(name)
      .set_uid(id)
      .set_dim(dims)
      .set_stride(strides)
      .set_data_type(type);
}

std::vector<int64_t> x_dims(const ConvShape& s) { return {s.batch, s.channels, s.height, s.width}; }
std::vector<int64_t> weight_dims(const ConvShape& s) {
  return {s.out_channels, s.channels, s.kernel, s.kernel};
}
std::vector<int64_t> y_dims(const ConvShape& s) {
  return {s.batch, s.out_channels, s.out_height, s.out_width};
}

template <class Attributes>
Attributes window(const ConvShape& s) {
  return Attributes()
      .set_padding({s.padding, s.padding})
      .set_stride({s.stride, s.stride})
      .set_dilation({1, 1})
      .set_compute_data_type(fe::DataType_t::FLOAT);
}

void set_output(const std::shared_ptr<Tensor_attributes>& out, const Tensor_attributes& wanted) {
  out->set_output(true)
      .set_name(wanted.get_name())
      .set_uid(wanted.get_uid())
      .set_dim(wanted.get_dim())
      .set_stride(wanted.get_stride())
      .set_data_type(wanted.get_data_type());
}

/// y = `exact` rounded, and the sums over its positions of what was not. cudnn-frontend 1.32 asks
/// cuDNN for sums in double by mistake (GenstatsNode hands on its own number for float), which no
/// engine has: there is no plan for this until a frontend asks for float, and then there may be.
void add_sums(Graph& graph, const std::shared_ptr<Tensor_attributes>& exact,
              const Tensor_attributes& y) {
  exact->set_dim(y.get_dim()).set_stride(y.get_stride()).set_data_type(fe::DataType_t::FLOAT);
  set_output(graph.pointwise(exact, fe::graph::Pointwise_attributes()
                                        .set_mode(fe::PointwiseMode_t::IDENTITY)
                                        .set_compute_data_type(fe::DataType_t::FLOAT)),
             y);
  const auto [sum, squares] = graph.genstats(
      exact, fe::graph::Genstats_attributes().set_compute_data_type(fe::DataType_t::FLOAT));
  const std::vector<int64_t> channels = {1, y.get_dim()[1], 1, 1};
  set_output(sum, tensor("sum", id_sum, channels, fe::DataType_t::FLOAT));
  set_output(squares, tensor("squares", id_squares, channels, fe::DataType_t::FLOAT));
}

/// `in_bf16`: a weight gradient is written in the precision of x instead of float32.
std::shared_ptr<Graph> make_graph(const ConvRequest& request, bool in_bf16, int capability) {
  const ConvShape& s = request.shape;
  const auto type =
      request.precision == Precision::bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT;
  auto graph = std::make_shared<Graph>();
  graph->set_io_data_type(type)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  graph->set_sm_version(capability);
  graph->set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);  // plans outlive graphs of them
  const Tensor_attributes x = tensor("x", id_x, x_dims(s), type);
  const Tensor_attributes weights = tensor("weights", id_weights, weight_dims(s), type);
  const Tensor_attributes y = tensor("y", id_y, y_dims(s), type);
  switch (request.pass) {
    case ConvPass::forward:
    case ConvPass::forward_sums: {
      auto out = graph->conv_fprop(graph->tensor(x), graph->tensor(weights),
                                   window<fe::graph::Conv_fprop_attributes>(s));
      if (request.pass == ConvPass::forward) {
        set_output(out, y);
        break;
      }
      add_sums(*graph, out, y);
      break;
    }
    case ConvPass::data_gradient:
      set_output(graph->conv_dgrad(graph->tensor(y), graph->tensor(weights),
                                   window<fe::graph::Conv_dgrad_attributes>(s)),
                 x);
      break;
    case ConvPass::weight_gradient:
      set_output(
          graph->conv_wgrad(graph->tensor(y), graph->tensor(x),
                            window<fe::graph::Conv_wgrad_attributes>(s)),
          tensor("weights", id_weights, weight_dims(s), in_bf16 ? type : fe::DataType_t::FLOAT));
      break;
  }
  return graph;
}

/// What the precision and the user's wishes forbid.
void drop_unsuitable(Graph& graph, const ConvRequest& request) {
  std::vector<fe::NumericalNote_t> notes = {fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};
  if (request.precision != Precision::bf16) {
    notes.push_back(fe::NumericalNote_t::DOWN_CONVERT_INPUTS);  // to half precision
  }
  if (request.precision == Precision::fp32) {
    notes.push_back(fe::NumericalNote_t::TENSOR_CORE);  // TF32
  }
  if (request.deterministic) notes.push_back(fe::NumericalNote_t::NONDETERMINISTIC);
  graph.deselect_numeric_notes(notes);
  graph.deselect_workspace_greater_than(most_workspace);
}

/// The graph with the list of its plans, none built yet; null if cuDNN knows none.
std::shared_ptr<Graph> plans_of(const ConvRequest& request, bool in_bf16, int capability,
                                cudnnHandle_t handle,
                                const std::shared_ptr<fe::DeviceProperties>& properties) {
  auto graph = make_graph(request, in_bf16, capability);
  if (properties != nullptr) graph->set_device_properties(properties);
  check(graph->validate(), "to take a convolution");
  const auto built =
      handle != nullptr ? graph->build_operation_graph(handle) : graph->build_operation_graph();
  if (built.is_bad()) return nullptr;
  if (graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}).is_bad()) {
    return nullptr;
  }
  drop_unsuitable(*graph, request);
  return graph;
}

/// Returns whether building the plan compiles its code.
bool is_compiled(const Graph& graph, int64_t index) {
  std::vector<fe::BehaviorNote_t> notes;
  return graph.get_behavior_notes_for_plan_at_index(index, notes).is_good() &&
         std::ranges::find(notes, fe::BehaviorNote_t::RUNTIME_COMPILATION) != notes.end();
}

/// Numbers of the first plans that can be built, at most `most`, of which `may_compile` are compiled;
/// they are built.
std::vector<int64_t> build_first(Graph& graph, int most, int may_compile) {
  std::vector<int64_t> built;
  int compiled = 0;
  const int64_t count = graph.get_execution_plan_count();
  for (int64_t i = 0; i < count && static_cast<int>(built.size()) < most; ++i) {
    const bool compiles = is_compiled(graph, i);
    if (compiles && compiled == may_compile) continue;
    if (!graph.build_plan_at_index(i).is_good()) continue;
    compiled += compiles ? 1 : 0;
    built.push_back(i);
  }
  return built;
}

// ---- plans ----

struct Handle {
  cudnnHandle_t handle = nullptr;
  explicit Handle(Stream stream) {
    const cudnnStatus_t status = fe::detail::create_handle(&handle);
    if (status != CUDNN_STATUS_SUCCESS) {
      fail("cuDNN could not start on the GPU ({}); nvidia-smi shows its state",
           fe::detail::get_error_string(status));
    }
    fe::detail::set_stream(handle, stream);
  }
  ~Handle() {
    if (handle != nullptr) fe::detail::destroy_handle(handle);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

class CudnnPlan final : public ConvPlan {
 public:
  CudnnPlan(std::shared_ptr<Handle> handle, Stream stream, const ConvRequest& request, bool in_bf16,
            std::shared_ptr<Graph> graph, int64_t index)
      : handle_(std::move(handle)),
        stream_(stream),
        request_(request),
        in_bf16_(in_bf16),
        graph_(std::move(graph)),
        index_(index) {
    check(index_ < 0 ? graph_->get_workspace_size(own_workspace_)
                     : graph_->get_workspace_size_plan_at_index(index_, own_workspace_),
          "to plan a convolution");
  }

  int64_t workspace_bytes() const override { return aligned(own_workspace_) + narrow_bytes(); }
  double seconds() const override { return seconds_; }
  void set_seconds(double seconds) { seconds_ = seconds; }
  bool in_bf16() const { return in_bf16_; }

  /// Returns whether cudnn-frontend could write the plan as bytes; its graph then holds this one.
  bool serialize(std::vector<uint8_t>& bytes) const {
    return graph_->build_plan_at_index(index_).is_good() &&
           graph_->serialize(bytes, false).is_good();
  }

  void run(const ConvArrays& arrays) const override {
    auto* workspace = static_cast<std::byte*>(arrays.workspace);
    void* weights = in_bf16_ ? workspace + aligned(own_workspace_) : arrays.weights;
    std::unordered_map<int64_t, void*> pointers = {
        {id_x, arrays.x}, {id_weights, weights}, {id_y, arrays.y}};
    if (request_.pass == ConvPass::forward_sums) {
      pointers[id_sum] = arrays.sum;
      pointers[id_squares] = arrays.squares;
    }
    check(index_ < 0 ? graph_->execute(handle_->handle, pointers, workspace)
                     : graph_->execute_plan_at_index(handle_->handle, pointers, workspace, index_),
          "in a convolution");
    if (in_bf16_) {
      to_float({weights, request_.precision}, request_.shape.weight_elements(),
               static_cast<float*>(arrays.weights), stream_);
    }
  }

 private:
  int64_t narrow_bytes() const { return in_bf16_ ? 2 * request_.shape.weight_elements() : 0; }

  std::shared_ptr<Handle> handle_;
  Stream stream_;
  ConvRequest request_;
  bool in_bf16_;
  std::shared_ptr<Graph> graph_;
  int64_t index_;  ///< of the plan in its graph; -1: the only one it holds
  int64_t own_workspace_ = 0;
  double seconds_ = 0;
};

class CudnnPlanner final : public ConvPlanner {
 public:
  explicit CudnnPlanner(Gpu& gpu)
      : gpu_(&gpu),
        handle_(std::make_shared<Handle>(gpu.compute())),
        maker_{gpu.name(), gpu.capability(),
               fmt::format("{} frontend {} choice {}", version_text(), CUDNN_FRONTEND_VERSION,
                           plan_choice_version)},
        cache_(plan_cache_folder()) {}

  std::string describe() const override { return version_text(); }

  std::shared_ptr<const ConvPlan> plan(const ConvRequest& request) override {
    const std::string key = plan_key(maker_, request);
    const auto known = plans_.find(key);
    if (known != plans_.end()) return known->second;
    const auto kept = cache_.find(key);
    std::shared_ptr<const ConvPlan> plan = kept ? loaded(*kept, request) : nullptr;
    if (plan == nullptr) plan = choose(key, request);
    plans_.emplace(key, plan);
    return plan;
  }

 private:
  // What is kept of a plan: a letter for where a weight gradient is written, its seconds, a
  // newline, cudnn-frontend's own bytes.
  std::shared_ptr<const ConvPlan> loaded(const std::string& kept,
                                         const ConvRequest& request) const {
    try {
      const size_t line = kept.find('\n');
      if (line == std::string::npos || line < 2) fail("it has no first line");
      auto graph = std::make_shared<Graph>();
      graph->set_sm_version(gpu_->capability());
      graph->set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);
      const std::vector<uint8_t> bytes(kept.begin() + static_cast<int64_t>(line) + 1, kept.end());
      check(graph->deserialize(handle_->handle, bytes, false, false), "to take a kept plan");
      auto plan = std::make_shared<CudnnPlan>(handle_, gpu_->compute(), request,
                                              kept.front() == 'n', graph, -1);
      plan->set_seconds(std::stod(kept.substr(1, line - 1)));
      return plan;
    } catch (const std::exception& error) {
      log_warning("a kept convolution plan is made anew: {}", error.what());
      return nullptr;
    }
  }

  std::shared_ptr<const ConvPlan> choose(const std::string& key, const ConvRequest& request) {
    if (!announced_) {
      log_info("trying convolutions on {}, kept in {} for the next start", gpu_->name(),
               plan_cache_folder().string());
      announced_ = true;
    }
    const std::vector<Candidate> candidates = candidates_for(request);
    if (candidates.empty()) return nullptr;
    PlanChoice choice;
    if (!request.deterministic) {
      const auto fastest = fastest_plan(*gpu_, request, {candidates.begin(), candidates.end()});
      if (!fastest) return nullptr;
      choice = *fastest;
    }
    const Candidate& best = candidates[choice.number];
    best->set_seconds(choice.seconds);
    // What there was no room to measure is measured at the next start.
    if (!request.deterministic && !choice.measured) return best;
    std::vector<uint8_t> bytes;
    if (!best->serialize(bytes)) return best;
    const std::string text = fmt::format("{}{:.9f}\n{}", best->in_bf16() ? 'n' : 'f',
                                         best->seconds(), std::string(bytes.begin(), bytes.end()));
    cache_.store(key, text);
    // As it will be found next time, and without the others that were tried.
    const auto plan = loaded(text, request);
    return plan != nullptr ? plan : best;
  }

  using Candidate = std::shared_ptr<CudnnPlan>;

  /// Returns the plans to choose from, built: where the result is to be the same every time, the
  /// first that suits.
  std::vector<Candidate> candidates_for(const ConvRequest& request) const {
    // A bf16 convolution's weight gradient is written as float32, by few engines; or as bf16, and
    // converted, which is part of what is measured.
    const bool both_ways =
        request.pass == ConvPass::weight_gradient && request.precision == Precision::bf16;
    std::vector<Candidate> candidates;
    for (const bool in_bf16 : {false, true}) {
      if (in_bf16 && !both_ways) break;
      if (request.deterministic && !candidates.empty()) break;
      const auto graph = plans_of(request, in_bf16, gpu_->capability(), handle_->handle, nullptr);
      if (graph == nullptr) continue;
      for (const int64_t index :
           build_first(*graph, request.deterministic ? 1 : most_tried, most_compiled)) {
        candidates.push_back(
            std::make_shared<CudnnPlan>(handle_, gpu_->compute(), request, in_bf16, graph, index));
      }
    }
    return candidates;
  }

  Gpu* gpu_;
  std::shared_ptr<Handle> handle_;
  PlanMaker maker_;
  PlanCache cache_;
  bool announced_ = false;
  std::unordered_map<std::string, std::shared_ptr<const ConvPlan>> plans_;
};

std::shared_ptr<fe::DeviceProperties> properties_of(const std::string& description) {
  auto properties = std::make_shared<fe::DeviceProperties>();
  auto status =
      properties->deserialize(std::vector<uint8_t>(description.begin(), description.end()));
  if (status.is_bad()) {
    fail_usage(
        "cuDNN does not take the description of a GPU: {} {}; moe-device "
        "--save-description writes one",
        status.get_message(), fe::detail::get_last_error_string_());
  }
  return properties;
}

/// Keeps a built plan as text and takes it again, as the cache does. Throws Error where that fails.
void keep_and_take(Graph& graph, int64_t index, int capability,
                   const std::shared_ptr<fe::DeviceProperties>& properties) {
  std::vector<uint8_t> bytes;
  int64_t workspace = 0, same_workspace = 0;
  check(graph.build_plan_at_index(index), "to build a plan");
  check(graph.serialize(bytes, false), "to keep a plan");
  check(graph.get_workspace_size(workspace), "to plan a convolution");
  Graph again;
  again.set_sm_version(capability);
  again.set_device_properties(properties);
  check(again.deserialize(bytes), "to take a kept plan");
  check(again.get_workspace_size(same_workspace), "to plan a convolution");
  if (same_workspace != workspace) fail("a kept plan asks for another workspace");
}

std::string description_of(int device) {
  const Gpu gpu(device);
  fe::DeviceProperties properties;
  properties.set_device_id(device);
  check(properties.build(), "to describe the GPU");
  std::vector<uint8_t> bytes;
  check(properties.serialize(bytes), "to describe the GPU");
  while (!bytes.empty() && bytes.back() == 0) bytes.pop_back();
  return std::string(bytes.begin(), bytes.end()) + "\n";
}

}  // namespace

std::unique_ptr<ConvPlanner> make_conv_planner(Gpu& gpu) {
  return std::make_unique<CudnnPlanner>(gpu);
}

std::vector<std::string> conv_plans_without_gpu(const std::string& description,
                                                const ConvRequest& request, int most) {
  const auto properties = properties_of(description);
  const int capability = nlohmann::json::parse(description).at("deviceVer").get<int>() / 10;
  std::vector<std::string> names;
  const bool may_be_bf16 =
      request.pass == ConvPass::weight_gradient && request.precision == Precision::bf16;
  for (const bool in_bf16 : {false, true}) {
    if (in_bf16 && (!may_be_bf16 || !names.empty())) break;
    const auto graph = plans_of(request, in_bf16, capability, nullptr, properties);
    if (graph == nullptr) continue;
    for (const int64_t index : build_first(*graph, most, most)) {
      std::string name;
      check(graph->get_plan_name_at_index(index, name), "to name a plan");
      keep_and_take(*graph, index, capability, properties);
      names.push_back(in_bf16 ? name + " (writes bf16)" : name);
    }
  }
  return names;
}

}  // namespace hardmoe::cuda

namespace hardmoe {

std::string describe_cuda_device(int device) { return cuda::description_of(device); }

}  // namespace hardmoe
