// cudnn-frontend (cudnn.cpp) calls cuDNN by its functions' names. These are those functions: each
// passes the call on to the library that was opened when a GPU was first used (gpu/libraries.h), so
// that nothing has to be linked. With the frontend's own dynamic loading the CUDA runtime would be
// opened a second time.
#include <cudnn_graph.h>
#include <nvrtc.h>

#include "gpu/libraries.h"

namespace {

template <class Function>
Function find(Function, const char* name) {
  return reinterpret_cast<Function>(
      hardmoe::cuda::function_of(hardmoe::cuda::Library::cudnn, name));
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() {
  static const auto function = find(&cudnnGetVersion, "cudnnGetVersion");
  return function();
}

const char* cudnnGetErrorString(cudnnStatus_t status) {
  static const auto function = find(&cudnnGetErrorString, "cudnnGetErrorString");
  return function(status);
}

void cudnnGetLastErrorString(char* message, size_t size) {
  static const auto function = find(&cudnnGetLastErrorString, "cudnnGetLastErrorString");
  function(message, size);
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  static const auto function = find(&cudnnCreate, "cudnnCreate");
  return function(handle);
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  static const auto function = find(&cudnnDestroy, "cudnnDestroy");
  return function(handle);
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  static const auto function = find(&cudnnSetStream, "cudnnSetStream");
  return function(handle, stream);
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  static const auto function = find(&cudnnGetStream, "cudnnGetStream");
  return function(handle, stream);
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  static const auto function = find(&cudnnBackendCreateDescriptor, "cudnnBackendCreateDescriptor");
  return function(type, descriptor);
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  static const auto function =
      find(&cudnnBackendDestroyDescriptor, "cudnnBackendDestroyDescriptor");
  return function(descriptor);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  static const auto function = find(&cudnnBackendFinalize, "cudnnBackendFinalize");
  return function(descriptor);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* elements) {
  static const auto function = find(&cudnnBackendSetAttribute, "cudnnBackendSetAttribute");
  return function(descriptor, name, type, count, elements);
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t asked,
                                       int64_t* count, void* elements) {
  static const auto function = find(&cudnnBackendGetAttribute, "cudnnBackendGetAttribute");
  return function(descriptor, name, type, asked, count, elements);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t arguments) {
  static const auto function = find(&cudnnBackendExecute, "cudnnBackendExecute");
  return function(handle, plan, arguments);
}

// The frontend has one engine that compiles kernels of its own, for RMS norms. No graph of
// cudnn.cpp contains one, so its compiler is neither linked nor opened: it is told that there is
// none.
nvrtcResult nvrtcCreateProgram(nvrtcProgram*, const char*, const char*, int, const char* const*,
                               const char* const*) {
  return NVRTC_ERROR_INTERNAL_ERROR;
}
nvrtcResult nvrtcDestroyProgram(nvrtcProgram*) { return NVRTC_ERROR_INTERNAL_ERROR; }
nvrtcResult nvrtcCompileProgram(nvrtcProgram, int, const char* const*) {
  return NVRTC_ERROR_INTERNAL_ERROR;
}
nvrtcResult nvrtcGetCUBINSize(nvrtcProgram, size_t*) { return NVRTC_ERROR_INTERNAL_ERROR; }
nvrtcResult nvrtcGetCUBIN(nvrtcProgram, char*) { return NVRTC_ERROR_INTERNAL_ERROR; }
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram, size_t*) { return NVRTC_ERROR_INTERNAL_ERROR; }
nvrtcResult nvrtcGetProgramLog(nvrtcProgram, char*) { return NVRTC_ERROR_INTERNAL_ERROR; }

}  // extern "C"
