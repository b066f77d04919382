# SPDX-License-Identifier: Apache-2.0
# TensorFlow Lite Micro for a firmware project. Include it after loggrad.cmake, with TFLM_DIR set (-D, or the
# environment variable when the project is first configured):
#
#   loggrad_tflm(<image> <C++ sources...>)
#
# compiles the sources against the runtime and links it into the image. TFLM_DIR is one of
#   a checkout of https://github.com/tensorflow/tflite-micro in which its Makefile has built `microlite` for the core
#     of the board: gen/<target>_<arch>_<build type>_<kernels>_gcc/lib/libtensorflow-microlite.a
#   a tree that its create_tflm_tree.py wrote: tensorflow/ and third_party/, compiled here
set(TFLM_DIR "$ENV{TFLM_DIR}" CACHE PATH "TensorFlow Lite Micro: a checkout with its library built, or a tree")
set(TFLM_LIBRARY "" CACHE FILEPATH "libtensorflow-microlite.a, if it lies elsewhere than its Makefile puts it")

string(JSON LG_CORE GET "${LG_BOARD_JSON}" core)
set(LG_TFLM_TARGET cortex_m_generic)
# Without TARGET_TOOLCHAIN_ROOT its Makefile downloads a compiler.
get_filename_component(LG_TFLM_TOOLCHAIN "${CMAKE_C_COMPILER}" DIRECTORY)
set(LG_TFLM_OPTIONS " OPTIMIZED_KERNEL_DIR=cmsis_nn TARGET_TOOLCHAIN_ROOT=${LG_TFLM_TOOLCHAIN}/")
if(LG_CORE STREQUAL "host")
  string(TOLOWER "${CMAKE_HOST_SYSTEM_NAME}" LG_TFLM_TARGET)
  string(REPLACE darwin osx LG_TFLM_TARGET "${LG_TFLM_TARGET}")
  set(LG_TFLM_ARCH "${CMAKE_HOST_SYSTEM_PROCESSOR}")
  set(LG_TFLM_OPTIONS "")
elseif(LG_CORE STREQUAL "cortex-m4" OR LG_CORE STREQUAL "cortex-m7")
  set(LG_TFLM_ARCH "${LG_CORE}+fp")
else()
  set(LG_TFLM_ARCH "${LG_CORE}")
endif()

# End with a reason and what to do. Nothing is remembered: the next attempt looks at -D and the environment again.
function(lg_tflm_fail reason)
  unset(TFLM_DIR CACHE)
  unset(TFLM_LIBRARY CACHE)
  message(FATAL_ERROR "${reason}
Give -DTFLM_DIR=<directory> to cmake, or set the environment variable TFLM_DIR. A directory that fits this board:
  git clone https://github.com/tensorflow/tflite-micro
  cd tflite-micro
  make -f tensorflow/lite/micro/tools/make/Makefile TARGET=${LG_TFLM_TARGET} TARGET_ARCH=${LG_TFLM_ARCH}${LG_TFLM_OPTIONS} BUILD_TYPE=release microlite
which runs Python with NumPy and Pillow,
or a tree that tensorflow/lite/micro/tools/project_generation/create_tflm_tree.py makes there with these options.")
endfunction()

if(TFLM_DIR STREQUAL "")
  lg_tflm_fail("TFLM_DIR is not set: this project runs its network on TensorFlow Lite Micro, which is not part of it.")
endif()
get_filename_component(TFLM_DIR "${TFLM_DIR}" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}")
if(NOT EXISTS "${TFLM_DIR}/tensorflow/lite/micro/micro_interpreter.h")
  lg_tflm_fail("TFLM_DIR='${TFLM_DIR}' is not TensorFlow Lite Micro: no tensorflow/lite/micro/micro_interpreter.h there.")
endif()

# Headers of others, and the library that belongs to the core.
set(LG_TFLM_TOOLS "${TFLM_DIR}/tensorflow/lite/micro/tools/make")
if(EXISTS "${LG_TFLM_TOOLS}/Makefile")
  set(LG_TFLM_PARTS "${LG_TFLM_TOOLS}/downloads")
  if(TFLM_LIBRARY STREQUAL "")
    foreach(kernels _cmsis_nn "")
      foreach(type release release_with_logs default)
        foreach(folder "${TFLM_DIR}/gen" "${LG_TFLM_TOOLS}/gen")
          foreach(tool _gcc "")
            set(place "${folder}/${LG_TFLM_TARGET}_${LG_TFLM_ARCH}_${type}${kernels}${tool}")
            if(TFLM_LIBRARY STREQUAL "" AND EXISTS "${place}/lib/libtensorflow-microlite.a")
              set(TFLM_LIBRARY "${place}/lib/libtensorflow-microlite.a")
            endif()
          endforeach()
        endforeach()
      endforeach()
    endforeach()
  endif()
  if(NOT EXISTS "${TFLM_LIBRARY}")
    lg_tflm_fail("TFLM_DIR='${TFLM_DIR}' has no library for ${LG_TFLM_ARCH}: no gen/${LG_TFLM_TARGET}_${LG_TFLM_ARCH}_*/lib/libtensorflow-microlite.a there, or TFLM_LIBRARY names no file.")
  endif()
  message(STATUS "TensorFlow Lite Micro: ${TFLM_LIBRARY}")
else()
  set(LG_TFLM_PARTS "${TFLM_DIR}/third_party")
  message(STATUS "TensorFlow Lite Micro: sources of ${TFLM_DIR}")
endif()
foreach(part flatbuffers/include gemmlowp ruy)
  if(NOT IS_DIRECTORY "${LG_TFLM_PARTS}/${part}")
    lg_tflm_fail("TFLM_DIR='${TFLM_DIR}' is incomplete: no ${LG_TFLM_PARTS}/${part}; its Makefile downloads it.")
  endif()
endforeach()

# A C++ compiler beside the C compiler, with its library.
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CXX_COMPILER)
  string(REGEX REPLACE "gcc([^/]*)$" "g++\\1" CMAKE_CXX_COMPILER "${CMAKE_C_COMPILER}")
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2" CACHE STRING "" FORCE)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
enable_language(CXX)
include(CheckIncludeFileCXX)
check_include_file_cxx(cstdint LG_HAS_CXX_LIBRARY)
if(NOT LG_HAS_CXX_LIBRARY)
  unset(LG_HAS_CXX_LIBRARY CACHE)
  lg_tflm_fail("${CMAKE_CXX_COMPILER} has no C++ library: apt install libstdc++-arm-none-eabi-newlib.")
endif()

# CMSIS_NN declares the kernels for int8 alone, which only a library with these kernels has.
set(LG_TFLM_DEFINITIONS "")
if(TFLM_LIBRARY MATCHES _cmsis_nn OR (TFLM_LIBRARY STREQUAL "" AND IS_DIRECTORY "${LG_TFLM_PARTS}/cmsis_nn"))
  set(LG_TFLM_DEFINITIONS CMSIS_NN)
endif()

# TF_LITE_STATIC_MEMORY lays out its structures and must be as in the library; without error strings nothing here
# refers to the library's log, which a release build lacks.
add_library(lg_tflm INTERFACE)
target_include_directories(lg_tflm SYSTEM INTERFACE "${TFLM_DIR}" "${LG_TFLM_PARTS}"
  "${LG_TFLM_PARTS}/flatbuffers/include" "${LG_TFLM_PARTS}/gemmlowp" "${LG_TFLM_PARTS}/ruy")
target_compile_definitions(lg_tflm INTERFACE
  TF_LITE_STATIC_MEMORY TF_LITE_STRIP_ERROR_STRINGS TF_LITE_DISABLE_X86_NEON NDEBUG ${LG_TFLM_DEFINITIONS})
target_compile_options(lg_tflm INTERFACE ${LG_BOARD_FLAGS} -ffunction-sections -fdata-sections
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=." "-ffile-prefix-map=${TFLM_DIR}=tflm"
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti;-fno-exceptions;-fno-threadsafe-statics>)
if(NOT LG_CORE STREQUAL "host")
  target_compile_definitions(lg_tflm INTERFACE TF_LITE_MCU_DEBUG_LOG)
endif()

if(NOT EXISTS "${LG_TFLM_TOOLS}/Makefile")
  file(GLOB_RECURSE LG_TFLM_SOURCES CONFIGURE_DEPENDS
    "${TFLM_DIR}/tensorflow/*.cc" "${TFLM_DIR}/tensorflow/*.cpp" "${TFLM_DIR}/tensorflow/*.c"
    "${TFLM_DIR}/signal/*.cc" "${TFLM_DIR}/signal/*.cpp"
    "${LG_TFLM_PARTS}/*.cc" "${LG_TFLM_PARTS}/*.cpp" "${LG_TFLM_PARTS}/*.c")
  # Included by other sources, not compiled; and a printf for logs that are left out.
  list(FILTER LG_TFLM_SOURCES EXCLUDE REGEX "third_party/(kissfft|eyalroz_printf)/|_test\\.(cc|cpp)$")
  add_library(tflm STATIC ${LG_TFLM_SOURCES})
  target_link_libraries(tflm PRIVATE lg_tflm)
  target_compile_definitions(tflm PRIVATE KERNELS_OPTIMIZED_FOR_SPEED)
  target_compile_options(tflm PRIVATE -w)
  target_include_directories(tflm PRIVATE "${LG_TFLM_PARTS}/kissfft")
  if(IS_DIRECTORY "${LG_TFLM_PARTS}/cmsis_nn")
    target_include_directories(tflm PRIVATE "${LG_TFLM_PARTS}/cmsis_nn" "${LG_TFLM_PARTS}/cmsis_nn/Include"
      "${LG_TFLM_PARTS}/cmsis" "${LG_TFLM_PARTS}/cmsis/CMSIS/Core/Include")
  endif()
  set(TFLM_LIBRARY tflm)
endif()

# A target of its own for the C++ sources: the flags of lg_flags are those of C.
function(loggrad_tflm image)
  add_library(${image}_tflm OBJECT ${ARGN})
  target_link_libraries(${image}_tflm PRIVATE lg_tflm)
  target_include_directories(${image}_tflm PRIVATE "${LG_ROOT}/lib/include")
  target_compile_options(${image}_tflm PRIVATE
    -Wall -Wextra -Wconversion -Wshadow -pedantic $<$<BOOL:${LG_WERROR}>:-Werror>)
  target_sources(${image} PRIVATE $<TARGET_OBJECTS:${image}_tflm>)
  target_link_libraries(${image} PRIVATE "${TFLM_LIBRARY}" m)
  set_target_properties(${image} PROPERTIES LINKER_LANGUAGE CXX)
  if(NOT LG_CORE STREQUAL "host")
    # Destructors of static objects, which never run, name the image they belong to.
    target_link_options(${image} PRIVATE -Wl,--defsym=__dso_handle=0)
  endif()
endfunction()
