# SPDX-License-Identifier: Apache-2.0

# What an application in Rust needs around rust_cargo_application(); include it after project().

# zephyr-lang-rust includes <zephyr/autoconf.h>; before Zephyr 3.7 it is generated as <autoconf.h>.
if(NOT EXISTS ${ZEPHYR_BINARY_DIR}/include/generated/zephyr/autoconf.h)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/compat/zephyr/autoconf.h
       CONTENT "#include <autoconf.h>\n")
  zephyr_include_directories(${CMAKE_CURRENT_BINARY_DIR}/compat)
endif()

# Rust's objects say that their stack is not executable, those of arm-none-eabi-gcc say nothing: GNU ld
# from 2.39 on warns of the mix, and Twister makes that an error. No stack here is executable.
if(NOT CONFIG_ARCH_POSIX)
  zephyr_ld_options(-Wl,-z,noexecstack)
endif()

# zephyr-lang-rust lints in each build, which takes a quarter of its time. Here it does so on request; ninja clippy does
# it by itself. Call this after rust_cargo_application().
option(PROVISIONING_CLIPPY "Lint the firmware's Rust in each build" OFF)
function(lint_on_request)
  if(NOT PROVISIONING_CLIPPY)
    set_target_properties(clippy PROPERTIES EXCLUDE_FROM_ALL TRUE)
  endif()
endfunction()
