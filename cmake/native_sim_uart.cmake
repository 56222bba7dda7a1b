# SPDX-License-Identifier: Apache-2.0

# native_sim's UART on standard input and output; include it before find_package(Zephyr). Zephyr 4.2 renamed the option,
# and Kconfig warns of the other name.
if("${BOARD} $ENV{BOARD}" MATCHES "native_sim")
  if(EXISTS $ENV{ZEPHYR_BASE}/drivers/serial/Kconfig.native_pty)
    list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/../boards/native_sim_uart_from_4.2.conf)
  else()
    list(APPEND EXTRA_CONF_FILE ${CMAKE_CURRENT_LIST_DIR}/../boards/native_sim_uart_to_4.1.conf)
  endif()
endif()
