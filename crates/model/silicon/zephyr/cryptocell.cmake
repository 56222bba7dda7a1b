# SPDX-License-Identifier: Apache-2.0

# The SDK's drivers of parts with a CryptoCell, on modelled silicon. The new names are those of SDK 2.8.
sdk_file(huk lib/hw_unique_key/hw_unique_key_cc3xx.c lib/hw_unique_key/hw_unique_key.c)
sdk_file(huk_kmu lib/hw_unique_key/hw_unique_key_cc3xx_kmu.c lib/hw_unique_key/hw_unique_key_kmu.c)
sdk_file(identity_key lib/identity_key/identity_key.c)
target_sources(app PRIVATE abi_cryptocell.c ${huk} ${huk_kmu} ${identity_key})
target_include_directories(app PRIVATE
  include/cryptocell
  ${ZEPHYR_NRFXLIB_MODULE_DIR}/crypto/nrf_cc312_platform/include # that of CryptoCell 310 is the same
)
# What the MDK says of the part, and Kconfig of the drivers, where the board is the part.
target_compile_definitions(app PRIVATE
  HUK_HAS_KMU
  CONFIG_NRFX_NVMC=1
  CONFIG_IDENTITY_KEY_RANDOM=1
  CONFIG_IDENTITY_KEY_DUMMY=1
)
if(CONFIG_SILICON_MODEL_NRF5340)
  target_compile_definitions(app PRIVATE NRF5340_XXAA_APPLICATION CONFIG_HAS_HW_NRF_CC312=1)
else()
  target_compile_definitions(app PRIVATE NRF91_SERIES CONFIG_HAS_HW_NRF_CC310=1)
endif()
