# SPDX-License-Identifier: Apache-2.0

# Which SDK this image is built with; include it after project(). The checks are in src/nrf_keys.c and
# crates/model/silicon/zephyr/abi_cryptocell.c: where they hold, an SDK that nobody has tried builds, too.

# Tried: built, and run on modelled silicon. docs/sdk-versions.rst says what was done with each.
set(sdk_tried 2.7.0 3.1.0 3.4.99)
set(zephyr_tried 4.0.0 4.1.99)

# Where nrf has a file: the first of several paths in that module that exists. A driver that has none is named here,
# where the message is easy to find.
function(sdk_file result)
  foreach(path ${ARGN})
    if(EXISTS ${ZEPHYR_NRF_MODULE_DIR}/${path})
      set(${result} ${ZEPHYR_NRF_MODULE_DIR}/${path} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  list(JOIN ARGN " nor " paths)
  message(FATAL_ERROR "The module nrf (${ZEPHYR_NRF_MODULE_DIR}) has no ${paths}: this SDK has moved the driver.")
endfunction()

if(ZEPHYR_NRF_MODULE_DIR)
  # "3.1.0" to SDK 3.3; then lines like Zephyr's own, as "VERSION_MAJOR = 3".
  file(READ ${ZEPHYR_NRF_MODULE_DIR}/VERSION sdk_version)
  if(sdk_version MATCHES "VERSION_MAJOR *= *([0-9]+).*VERSION_MINOR *= *([0-9]+).*PATCHLEVEL *= *([0-9]+)")
    set(sdk_version ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3})
  endif()
  string(STRIP "${sdk_version}" sdk_version)
  string(REGEX MATCH "^[0-9.]+" sdk_number "${sdk_version}")
  set(sdk_name "nRF Connect SDK ${sdk_version} (Zephyr ${KERNEL_VERSION_STRING})")
  set(tried ${sdk_tried})
else()
  set(sdk_number ${KERNEL_VERSION_STRING})
  set(sdk_name "Zephyr ${KERNEL_VERSION_STRING}, without the nRF Connect SDK")
  set(tried ${zephyr_tried})
endif()

list(JOIN tried ", " tried_names)
if(sdk_number IN_LIST tried)
  message(STATUS "${sdk_name}: tried with this image")
else()
  message(NOTICE "${sdk_name}: not tried with this image, which was tried with ${tried_names}. "
                 "The build goes on, and stops where a driver has changed.")
endif()
