# SPDX-License-Identifier: Apache-2.0
# Toolchain file: the bare-metal Arm GCC found on PATH (or in LG_TOOLCHAIN_DIR).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LG_TOOLCHAIN_DIR)
foreach(tool gcc ar)
  string(TOUPPER "LG_ARM_${tool}" variable)
  find_program(${variable} arm-none-eabi-${tool} HINTS "${LG_TOOLCHAIN_DIR}")
  if(NOT ${variable})
    message(FATAL_ERROR "arm-none-eabi-${tool} is not on PATH: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi,"
      " or give -DLG_TOOLCHAIN_DIR=<the directory it lies in>")
  endif()
endforeach()
execute_process(COMMAND "${LG_ARM_GCC}" -print-file-name=nano.specs
  OUTPUT_VARIABLE LG_SPECS OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT EXISTS "${LG_SPECS}")
  message(FATAL_ERROR "${LG_ARM_GCC} has no C library (nano.specs): apt install libnewlib-arm-none-eabi")
endif()
set(CMAKE_C_COMPILER "${LG_ARM_GCC}")
set(CMAKE_AR "${LG_ARM_AR}" CACHE FILEPATH "")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
