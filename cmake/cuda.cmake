# The GPU engine's parts: nvcc, the headers of cuDNN 9, cudnn-frontend and cuBLASLt. Sets HARDMOE_HAS_CUDA; where it is off,
# HARDMOE_NO_CUDA says why, and commands repeat it to whoever asks for --device cuda. The libraries
# themselves are loaded when a GPU is first used (lib/gpu/libraries.h): binaries made with
# this engine start on machines that have none of them.
#
#   HARDMOE_CUDA                 AUTO (where all is found), ON (or fail), OFF
#   HARDMOE_CUDA_ARCHITECTURES   e.g. 90, to build faster for one kind of GPU
#   CUDA_HOME, CUDNN_PATH, CUDNN_FRONTEND_PATH   environment: folders to look in first
set(HARDMOE_CUDA AUTO CACHE STRING "GPU engine: AUTO, ON or OFF")
set_property(CACHE HARDMOE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(HARDMOE_CUDA_ARCHITECTURES "" CACHE STRING "Compute capabilities to build for (default: 80 and newer)")
set(HARDMOE_HAS_CUDA OFF)
set(HARDMOE_NO_CUDA "configured with HARDMOE_CUDA=OFF")

macro(hardmoe_find_cuda)
  set(HARDMOE_NO_CUDA "")
  find_program(HARDMOE_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda
               PATH_SUFFIXES bin)
  # cuDNN from NVIDIA's packages, beside the toolkit, or from pip's nvidia-cudnn wheel.
  execute_process(COMMAND python3 -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                  OUTPUT_VARIABLE site_packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  get_filename_component(cuda_bin "${HARDMOE_NVCC}" DIRECTORY)
  get_filename_component(cuda_home "${cuda_bin}" DIRECTORY)
  set(cuda_places ENV CUDNN_PATH ENV CUDA_HOME ENV CUDA_PATH ${cuda_home} /usr/local/cuda
      ${site_packages}/nvidia/cudnn ${site_packages}/nvidia/cu13)
  find_path(HARDMOE_CUDNN_INCLUDE cudnn_graph.h HINTS ${cuda_places} PATH_SUFFIXES include)
  find_path(HARDMOE_CUBLAS_INCLUDE cublasLt.h HINTS ${cuda_places} ${site_packages}/nvidia/cublas
            PATH_SUFFIXES include)
  # Headers only; tools/setup.sh --cuda puts the official package into .cache, which git ignores.
  find_path(HARDMOE_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
            HINTS ${PROJECT_SOURCE_DIR}/.cache/cudnn-frontend ENV CUDNN_FRONTEND_PATH ${cuda_places}
            PATHS ${site_packages}/include ${site_packages}/.. PATH_SUFFIXES include)
  if(NOT HARDMOE_NVCC)
    set(HARDMOE_NO_CUDA "no nvcc was found when it was built")
  elseif(NOT HARDMOE_CUDNN_INCLUDE)
    set(HARDMOE_NO_CUDA "no cuDNN 9 headers were found when it was built")
  elseif(NOT HARDMOE_CUBLAS_INCLUDE)
    set(HARDMOE_NO_CUDA "no cublasLt.h was found when it was built")
  elseif(NOT HARDMOE_CUDNN_FRONTEND_INCLUDE)
    set(HARDMOE_NO_CUDA "no cudnn_frontend.h was found when it was built: tools/setup.sh --cuda gets it")
  else()
    file(STRINGS ${HARDMOE_CUDNN_INCLUDE}/cudnn_version.h cudnn_major
         REGEX "#define CUDNN_MAJOR +[0-9]+")
    string(REGEX REPLACE "[^0-9]" "" cudnn_major "${cudnn_major}")
    if(NOT cudnn_major EQUAL 9)
      set(HARDMOE_NO_CUDA "cuDNN ${cudnn_major} was found when it was built, version 9 is needed")
    endif()
    file(STRINGS ${HARDMOE_CUDNN_FRONTEND_INCLUDE}/cudnn_frontend_version.h frontend
         REGEX "#define CUDNN_FRONTEND_M[A-Z]+_VERSION +[0-9]+")
    string(REGEX REPLACE "[^0-9;]" "" frontend "${frontend}")
    string(REPLACE ";" "." frontend "${frontend}")
    if(frontend VERSION_LESS 1.32)  # the oldest tried: graphs without references to their plans
      set(HARDMOE_NO_CUDA "cudnn-frontend ${frontend} was found when it was built, 1.32 is needed")
    endif()
  endif()
  if(NOT HARDMOE_NO_CUDA)
    include(CheckLanguage)
    if(NOT CMAKE_CUDA_COMPILER)
      set(CMAKE_CUDA_COMPILER ${HARDMOE_NVCC})
    endif()
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80)  # until the compiler has said what it knows
    endif()
    check_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER)
      set(HARDMOE_NO_CUDA "nvcc could not compile when it was built")
    endif()
  endif()
endmacro()

if(HARDMOE_CUDA)
  hardmoe_find_cuda()
  if(NOT HARDMOE_NO_CUDA)
    set(HARDMOE_HAS_CUDA ON)
  elseif(NOT HARDMOE_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "HARDMOE_CUDA=${HARDMOE_CUDA}: ${HARDMOE_NO_CUDA}")
  endif()
endif()

if(HARDMOE_HAS_CUDA)
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # Debian 12's CMake does not know that nvcc has it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  if(CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()
  # Machine code for every GPU generation in use that the compiler knows; PTX of the newest for those that
  # are to come, and of the oldest for those in between that are not named here, such as 110.
  if(HARDMOE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${HARDMOE_CUDA_ARCHITECTURES})
  else()
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-code OUTPUT_VARIABLE known)
    set(CMAKE_CUDA_ARCHITECTURES "")
    foreach(architecture 80 86 89 90 100 120)
      if(known MATCHES "sm_${architecture}\n")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
        set(newest ${architecture})
      endif()
    endforeach()
    list(APPEND CMAKE_CUDA_ARCHITECTURES 80-virtual ${newest}-virtual)
  endif()
  # Where the libraries were when this was built: tried after the loader's own search path.
  foreach(library cudnn.so.9 cublas.so cublasLt.so)
    string(MAKE_C_IDENTIFIER ${library} variable)
    find_library(HARDMOE_LIB_${variable} NAMES ${library} lib${library} HINTS ${cuda_places}
                 ${site_packages}/nvidia/cublas PATH_SUFFIXES lib64 lib)
  endforeach()
  message(STATUS "GPU engine: CUDA ${CUDAToolkit_VERSION}, cuDNN headers in ${HARDMOE_CUDNN_INCLUDE},"
                 " for ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "GPU engine: left out, ${HARDMOE_NO_CUDA}")
endif()
