# SPDX-License-Identifier: Apache-2.0
# What every firmware project needs. Include it after project(... C), with LG_BOARD set:
#
#   include(cmake/loggrad.cmake)
#   loggrad_image(<name> <sources...>)
#
# Defines `lg` (the library), `lg_flags` (the flags of everything) and loggrad_image(), which links sources, library
# and board into <name>.elf and writes <name>.map. Directories, beside the project's CMakeLists.txt unless
# LG_ROOT names another place: lib/, boards/common/, boards/<LG_BOARD>/ with its board.json. Memories and stack come
# from board.json alone: the linker gets them as symbols (boards/common/sections.ld). LG_CHANNEL chooses how the program
# talks to the host: semihosting, or uart where the board has it; board.json names the default.
if(CMAKE_VERSION VERSION_LESS 3.21)
  message(FATAL_ERROR "CMake ${CMAKE_VERSION} is too old, 3.21 or later is needed: pip install cmake, or cmake.org")
endif()
if(NOT LG_ROOT)
  set(LG_ROOT "${CMAKE_CURRENT_SOURCE_DIR}")
endif()
set(LG_BOARD "" CACHE STRING "Board: a folder of boards/")
set(LG_BOARD_DIR "${LG_ROOT}/boards/${LG_BOARD}")
if(LG_BOARD STREQUAL "" OR NOT EXISTS "${LG_BOARD_DIR}/board.json")
  file(GLOB LG_BOARDS RELATIVE "${LG_ROOT}/boards" "${LG_ROOT}/boards/*/board.json")
  string(REPLACE "/board.json" "" LG_BOARDS "${LG_BOARDS}")
  string(REPLACE ";" ", " LG_BOARDS "${LG_BOARDS}")
  message(FATAL_ERROR "LG_BOARD='${LG_BOARD}' is no folder of ${LG_ROOT}/boards: give -DLG_BOARD=<name> (${LG_BOARDS})")
endif()
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2" CACHE STRING "" FORCE)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
option(LG_WERROR "A warning ends the build; switch it off for a compiler that warns of more" ON)

# A list of strings of board.json.
function(lg_board_list out key)
  set(items)
  string(JSON count LENGTH "${LG_BOARD_JSON}" ${key})
  if(count GREATER 0)
    math(EXPR last "${count} - 1")
    foreach(index RANGE ${last})
      string(JSON item GET "${LG_BOARD_JSON}" ${key} ${index})
      list(APPEND items "${item}")
    endforeach()
  endif()
  set(${out} "${items}" PARENT_SCOPE)
endfunction()

file(READ "${LG_BOARD_DIR}/board.json" LG_BOARD_JSON)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${LG_BOARD_DIR}/board.json")
lg_board_list(LG_BOARD_FLAGS flags)
lg_board_list(LG_BOARD_COMMON common)
lg_board_list(LG_BOARD_LINK link)
string(JSON LG_BOARD_CAMERA ERROR_VARIABLE unused GET "${LG_BOARD_JSON}" camera)
string(JSON LG_BOARD_CHANNEL GET "${LG_BOARD_JSON}" channel)
set(LG_CHANNEL "${LG_BOARD_CHANNEL}" CACHE STRING "How the program talks to the host: semihosting or uart")
if(LG_BOARD_CHANNEL)
  string(JSON unused ERROR_VARIABLE missing GET "${LG_BOARD_JSON}" statics "${LG_CHANNEL}")
  if(missing)
    message(FATAL_ERROR "LG_CHANNEL='${LG_CHANNEL}' is no channel of ${LG_BOARD}: see statics in its board.json")
  endif()
endif()
list(TRANSFORM LG_BOARD_COMMON PREPEND "${LG_ROOT}/boards/common/")
set(LG_BOARD_SOURCES ${LG_BOARD_COMMON})
if(EXISTS "${LG_BOARD_DIR}/board.c") # boards that differ in board.json alone share a source of common/
  list(PREPEND LG_BOARD_SOURCES "${LG_BOARD_DIR}/board.c")
endif()

add_library(lg_flags INTERFACE)
target_compile_options(lg_flags INTERFACE
  ${LG_BOARD_FLAGS} -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -pedantic $<$<BOOL:${LG_WERROR}>:-Werror>
  -ffp-contract=off
  -ffunction-sections -fdata-sections "-ffile-prefix-map=${LG_ROOT}=." "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.")
target_link_options(lg_flags INTERFACE ${LG_BOARD_FLAGS} ${LG_BOARD_LINK} -Wl,--gc-sections -Wl,--build-id=none)
set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_C_ARCHIVE_FINISH "<CMAKE_AR> sD <TARGET>")

add_subdirectory("${LG_ROOT}/lib" lib)

# The linker script and its symbols; nothing where the board has no memories of its own (host).
string(JSON LG_BOARD_RAM GET "${LG_BOARD_JSON}" ram)
set(LG_BOARD_SCRIPT)
if(LG_BOARD_RAM)
  foreach(memory flash ram)
    foreach(key origin length)
      string(JSON value GET "${LG_BOARD_JSON}" ${memory} ${key})
      list(APPEND LG_BOARD_SCRIPT "-Wl,--defsym=lg_${memory}_${key}=${value}")
    endforeach()
  endforeach()
  string(JSON value GET "${LG_BOARD_JSON}" stack)
  list(APPEND LG_BOARD_SCRIPT "-Wl,--defsym=lg_stack_bytes=${value}" "-T${LG_ROOT}/boards/common/sections.ld")
endif()

function(loggrad_image name)
  add_executable(${name} ${ARGN} ${LG_BOARD_SOURCES})
  target_include_directories(${name} PRIVATE "${LG_ROOT}/boards/common" "${LG_BOARD_DIR}")
  if(LG_CHANNEL STREQUAL "uart")
    target_compile_definitions(${name} PRIVATE LG_CHANNEL_UART)
  endif()
  if(LG_BOARD_CAMERA)
    target_compile_definitions(${name} PRIVATE LG_BOARD_HAS_CAMERA)
  endif()
  if(LG_CAMERA_ROWS) # of a window that is no square
    target_compile_definitions(${name} PRIVATE LG_CAMERA_ROWS=${LG_CAMERA_ROWS}u)
  endif()
  if(LG_BAUD) # of the serial line; uart.h has the usual one
    target_compile_definitions(${name} PRIVATE LG_BAUD=${LG_BAUD}u)
  endif()
  target_link_libraries(${name} PRIVATE lg lg_flags)
  # By its relative path: in an absolute one the linker reads '%' and ',' in its own way.
  file(RELATIVE_PATH LG_MAP "${CMAKE_BINARY_DIR}" "${CMAKE_CURRENT_BINARY_DIR}/${name}.map")
  target_link_options(${name} PRIVATE "-Wl,-Map=${LG_MAP}")
  set_target_properties(${name} PROPERTIES SUFFIX .elf)
  if(LG_BOARD_SCRIPT)
    target_link_options(${name} PRIVATE ${LG_BOARD_SCRIPT})
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${LG_ROOT}/boards/common/sections.ld")
  endif()
endfunction()
