# SPDX-License-Identifier: Apache-2.0

# The SDK's drivers of parts with a CRACEN, on modelled silicon.
include(cracen_driver.cmake)
target_sources(app PRIVATE ${cracen_sources} cracen.c psa_core.c)
if(CONFIG_CPU_CORTEX_M)
  zephyr_linker_sources(NOINIT kmu_push_area.ld)
endif()
target_include_directories(app PRIVATE ${cracen_includes})
# What the MDK says of the part, and Kconfig of the drivers, where the board is the part.
target_compile_definitions(app PRIVATE
  NRF54L15_XXAA
  CONFIG_CRACEN_IKG=1
  CONFIG_CRACEN_IKG_SEED_KMU_SLOT=183
  CONFIG_CRACEN_IKG_SEED_LOAD=1
  CONFIG_CRACEN_KMU=1
  CONFIG_CRACEN_LOG_LEVEL=0
  CONFIG_CRACEN_PROVISION_PROT_RAM_INV_SLOTS_ON_INIT=1
  CONFIG_HAS_HW_NRF_CRACEN=1
  CONFIG_NRFX_RRAMC=1
  CONFIG_SOC_SERIES_NRF54L=1
)
