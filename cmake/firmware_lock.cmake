# SPDX-License-Identifier: Apache-2.0

# The committed firmware.lock decides which crates enter the image. zephyr-lang-rust runs cargo without --locked, so
# that cargo would write a changed Cargo.lock and say nothing. Not named Cargo.lock, since a cargo run without west,
# and so without the zephyr crate, changes that one too.
#
# Included after rust_cargo_application(); as a script (cmake -P), it compares COMMITTED with USED.

if(CMAKE_SCRIPT_MODE_FILE)
  file(SHA256 ${COMMITTED} committed)
  file(SHA256 ${USED} used)
  if(NOT committed STREQUAL used)
    message(FATAL_ERROR
      "The crates of this image are not those of firmware.lock: cargo has changed Cargo.lock.\n"
      "Read the difference:\n"
      "  diff ${COMMITTED} ${USED}\n"
      "Undo the change to Cargo.toml or to zephyr-lang-rust that is behind it; or, if it is wanted, copy "
      "Cargo.lock to firmware.lock and commit that.")
  endif()
  return()
endif()

set(committed ${CMAKE_CURRENT_SOURCE_DIR}/firmware.lock)
set(used ${CMAKE_CURRENT_SOURCE_DIR}/Cargo.lock)
configure_file(${committed} ${used} COPYONLY)
add_custom_target(firmware_lock ALL
  COMMAND ${CMAKE_COMMAND} -DCOMMITTED=${committed} -DUSED=${used} -P ${CMAKE_CURRENT_LIST_FILE}
  COMMENT "Comparing the crates with firmware.lock"
  VERBATIM
)
add_dependencies(firmware_lock librustapp)
add_dependencies(app firmware_lock)
