# SPDX-License-Identifier: Apache-2.0

# The SDK's image for the network core, as its own netcore.cmake adds one.
if(SB_CONFIG_PROVISIONING_NET_CORE)
  message(WARNING
    "SB_CONFIG_PROVISIONING_NET_CORE locks the debug port of the network core, so its own firmware cannot "
    "be programmed by a debugger after that. Only \"recover\" opens the port again, and it erases both cores, "
    "and with them the part's keys and identity. Leave the option out unless that core gets no other firmware.")

  set(net_core_board ${BOARD}/nrf5340/cpunet)
  if(DEFINED BOARD_REVISION)
    set(net_core_board ${BOARD}@${BOARD_REVISION}/nrf5340/cpunet)
  endif()

  ExternalZephyrProject_Add(
    APPLICATION provisioning_image_net_core
    SOURCE_DIR ${ZEPHYR_NRF_MODULE_DIR}/samples/tfm/provisioning_image_net_core
    BOARD ${net_core_board}
  )

  # Without the partition manager, off by default since SDK 3.4, the devicetree alone places the image.
  if(SB_CONFIG_PARTITION_MANAGER)
    get_property(domains GLOBAL PROPERTY PM_DOMAINS)
    if(NOT CPUNET IN_LIST domains)
      set_property(GLOBAL APPEND PROPERTY PM_DOMAINS CPUNET)
    endif()
    set_property(GLOBAL APPEND PROPERTY PM_CPUNET_IMAGES provisioning_image_net_core)
    set_property(GLOBAL PROPERTY DOMAIN_APP_CPUNET provisioning_image_net_core)
    set(CPUNET_PM_DOMAIN_DYNAMIC_PARTITION provisioning_image_net_core CACHE INTERNAL "")
  endif()

  # Flashed first, so that the application core is the last to start.
  sysbuild_add_dependencies(FLASH ${DEFAULT_IMAGE} provisioning_image_net_core)
endif()
