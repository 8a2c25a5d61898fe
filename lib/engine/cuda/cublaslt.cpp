// Linear layers by cuBLASLt, opened when a GPU is first used. cuBLASLt reads matrices by columns: a
// row-major m×n array is its n×m matrix.
#include <cublasLt.h>

#include <array>

#include "engine/cuda/linear_plan.h"
#include "gpu/cuda/check.h"
#include "gpu/libraries.h"

namespace hardmoe::cuda {
namespace {

struct Functions {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetVersion) get_version;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;

  Functions() {
    const auto find = [](auto& function, const char* name) {
      find_function(Library::cublaslt, name, function);
    };
    find(create, "cublasLtCreate");
    find(destroy, "cublasLtDestroy");
    find(get_version, "cublasLtGetVersion");
    find(matmul, "cublasLtMatmul");
    find(desc_create, "cublasLtMatmulDescCreate");
    find(desc_destroy, "cublasLtMatmulDescDestroy");
    find(desc_set, "cublasLtMatmulDescSetAttribute");
    find(layout_create, "cublasLtMatrixLayoutCreate");
    find(layout_destroy, "cublasLtMatrixLayoutDestroy");
    find(preference_create, "cublasLtMatmulPreferenceCreate");
    find(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    find(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
  }
};

const Functions& cublaslt() {
  static const Functions functions;
  return functions;
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail("cuBLASLt failed {} (status {})", what, static_cast<int>(status));
  }
}

struct Handle {
  cublasLtHandle_t handle = nullptr;
  Handle() { check(cublaslt().create(&handle), "to start on the GPU"); }
  ~Handle() {
    if (handle != nullptr) cublaslt().destroy(handle);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

struct Layout {
  cublasLtMatrixLayout_t layout = nullptr;
  Layout(cudaDataType_t type, int64_t rows, int64_t columns) {
    check(cublaslt().layout_create(&layout, type, static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(columns), rows),
          "to describe a matrix");
  }
  ~Layout() { cublaslt().layout_destroy(layout); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
};

struct Product {
  cublasLtMatmulDesc_t desc = nullptr;
  explicit Product(cublasComputeType_t compute) {
    check(cublaslt().desc_create(&desc, compute, CUDA_R_32F), "to describe a product");
  }
  ~Product() { cublaslt().desc_destroy(desc); }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublaslt().desc_set(desc, attribute, &value, sizeof value), "to describe a product");
  }
};

struct Preference {
  cublasLtMatmulPreference_t preference = nullptr;
  Preference() { check(cublaslt().preference_create(&preference), "to choose a way to multiply"); }
  ~Preference() { cublaslt().preference_destroy(preference); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;

  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
    check(cublaslt().preference_set(preference, attribute, &value, sizeof value),
          "to choose a way to multiply");
  }
};

cudaDataType_t narrow_type(Precision precision) {
  return precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

cublasComputeType_t compute_type(Precision precision) {
  return precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/// D (m×n, by columns) = op(A)·op(B).
struct Form {
  bool a_transposed, b_transposed;
  int64_t a_rows, a_columns, b_rows, b_columns, m, n;
  cudaDataType_t result;
};

Form form_of(const LinearRequest& r) {
  switch (r.pass) {
    case LinearPass::forward:  // yᵀ (out×rows) = (in×out)ᵀ · xᵀ (in×rows)
      return {true,  false,  r.in,
              r.out, r.in,   r.rows,
              r.out, r.rows, r.working ? narrow_type(r.precision) : CUDA_R_32F};
    case LinearPass::data_gradient:  // dxᵀ (in×rows) = (in×out) · dyᵀ (out×rows)
      return {false, false, r.in, r.out, r.out, r.rows, r.in, r.rows, narrow_type(r.precision)};
    case LinearPass::weight_gradient:  // dwᵀ (in×out) = xᵀ (in×rows) · (out×rows)ᵀ
      break;
  }
  return {false, true, r.in, r.rows, r.out, r.rows, r.in, r.out, CUDA_R_32F};
}

class CublasltPlan final : public LinearPlan {
 public:
  CublasltPlan(std::shared_ptr<Handle> handle, Stream stream, const LinearRequest& request,
               const Form& form)
      : handle_(std::move(handle)),
        stream_(stream),
        pass_(request.pass),
        biased_(request.pass == LinearPass::forward && request.bias),
        product_(compute_type(request.precision)),
        a_(narrow_type(request.precision), form.a_rows, form.a_columns),
        b_(narrow_type(request.precision), form.b_rows, form.b_columns),
        d_(form.result, form.m, form.n) {
    constexpr uint32_t alignment = 16;  // what LinearArrays promise
    product_.set(CUBLASLT_MATMUL_DESC_TRANSA, form.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    product_.set(CUBLASLT_MATMUL_DESC_TRANSB, form.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (biased_) {
      product_.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      product_.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, form.result);
      // Ways to multiply are chosen for a bias' alignment: any address that has it will do.
      product_.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                   reinterpret_cast<const void*>(uintptr_t{alignment}));
    }
    Preference preference;
    preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, size_t{32} << 20);
    for (const auto operand :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      preference.set(operand, alignment);
    }
    std::array<cublasLtMatmulHeuristicResult_t, 1> results{};
    int found = 0;
    const cublasStatus_t status = cublaslt().heuristic(
        handle_->handle, product_.desc, a_.layout, b_.layout, d_.layout, d_.layout,
        preference.preference, static_cast<int>(results.size()), results.data(), &found);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0) {
      fail("cuBLASLt has no way to compute a linear layer of {} rows, {} to {}, in {} (status {})",
           request.rows, request.in, request.out, name_of(request.precision),
           static_cast<int>(status));
    }
    algorithm_ = results[0].algo;
    workspace_bytes_ = static_cast<int64_t>(results[0].workspaceSize);
  }

  int64_t workspace_bytes() const override { return workspace_bytes_; }

  void run(const LinearArrays& arrays) const override {
    const bool forward = pass_ == LinearPass::forward;
    const bool weights = pass_ == LinearPass::weight_gradient;
    const void* a = weights ? arrays.x : arrays.weights;
    const void* b = forward ? arrays.x : arrays.y;
    void* d = forward ? arrays.y : weights ? arrays.weights : arrays.x;
    if (biased_) product_.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, arrays.bias);
    const float one = 1, zero = 0;  // with zero, what is in d is not read
    check(cublaslt().matmul(handle_->handle, product_.desc, &one, a, a_.layout, b, b_.layout, &zero,
                            d, d_.layout, d, d_.layout, &algorithm_, arrays.workspace,
                            static_cast<size_t>(workspace_bytes_), stream_),
          "in a linear layer");
  }

 private:
  std::shared_ptr<Handle> handle_;
  Stream stream_;
  LinearPass pass_;
  bool biased_;
  mutable Product product_;  ///< holds the bias' address, which a run sets
  Layout a_, b_, d_;
  cublasLtMatmulAlgo_t algorithm_{};
  int64_t workspace_bytes_ = 0;
};

class CublasltPlanner final : public LinearPlanner {
 public:
  explicit CublasltPlanner(Gpu& gpu)
      : stream_(gpu.compute()), handle_(std::make_shared<Handle>()) {}

  std::string describe() const override {
    const size_t version = cublaslt().get_version();
    return fmt::format("cuBLASLt {}.{}", version / 10000, version % 10000 / 100);
  }

  std::shared_ptr<const LinearPlan> plan(const LinearRequest& request) override {
    return std::make_shared<CublasltPlan>(handle_, stream_, request, form_of(request));
  }

 private:
  Stream stream_;
  std::shared_ptr<Handle> handle_;
};

}  // namespace

std::unique_ptr<LinearPlanner> make_linear_planner(Gpu& gpu) {
  return std::make_unique<CublasltPlanner>(gpu);
}

}  // namespace hardmoe::cuda
