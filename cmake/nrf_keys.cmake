# SPDX-License-Identifier: Apache-2.0

# The C glue between the bindings and the SDK's drivers. Include it after cmake/sdk.cmake.

set(glue ${CMAKE_CURRENT_LIST_DIR}/../src)
target_sources(app PRIVATE ${glue}/nrf_keys.c)
target_include_directories(app PRIVATE ${glue} ${glue}/../crates/image/nrf-keys/include)

if(CONFIG_PROVISIONING_SEED_KEYS)
  target_sources(app PRIVATE ${glue}/nrf_keys_seed.c)

  # A #define of the driver's, where no header has it. The names of the driver are those of SDK 3.3, and before.
  set(cracenpsa subsys/nrf_security/src/drivers/cracen/cracenpsa/src)
  sdk_file(kmu ${cracenpsa}/cracen_psa_kmu.c ${cracenpsa}/kmu.c)
  file(STRINGS ${kmu} note_slot REGEX "^#define PROVISIONING_SLOT +[0-9]+$")
  string(REGEX MATCH "[0-9]+$" note_slot "${note_slot}")
  if(NOT note_slot)
    message(FATAL_ERROR "${kmu} has no PROVISIONING_SLOT: this SDK notes unfinished writes in another way.")
  endif()
  target_compile_definitions(app PRIVATE NRF_KEYS_NOTE_SLOT=${note_slot})

  # Compiled as the driver is, and not linked.
  add_library(lifecycle_check OBJECT ${glue}/lifecycle_check.c)
  target_include_directories(lifecycle_check PRIVATE
    $<TARGET_PROPERTY:app,INCLUDE_DIRECTORIES> ${ZEPHYR_NRF_MODULE_DIR})
  target_compile_definitions(lifecycle_check PRIVATE $<TARGET_PROPERTY:app,COMPILE_DEFINITIONS>)
  target_compile_options(lifecycle_check PRIVATE $<TARGET_PROPERTY:app,COMPILE_OPTIONS>)
  target_link_libraries(lifecycle_check PRIVATE zephyr_interface)
  add_dependencies(lifecycle_check zephyr_generated_headers)
  add_dependencies(app lifecycle_check)
else()
  target_sources(app PRIVATE ${glue}/nrf_keys_stored.c)
endif()
