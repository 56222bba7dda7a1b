# SPDX-License-Identifier: Apache-2.0

# The SDK's drivers of parts with a CRACEN, on modelled silicon: all that a seed and the keys derived from it need of
# the CRACEN driver, down to nrfx, the AES engine and the key generator.
set(cracen subsys/nrf_security/src/drivers/cracen)
foreach(driver
  lib/hw_unique_key/hw_unique_key_cracen_kmu.c
  ${cracen}/common/src/cracen/common.c
  ${cracen}/cracenpsa/src/cracen_psa.c
  ${cracen}/cracenpsa/src/cracen_psa_ikg.c
  ${cracen}/cracenpsa/src/cracen_psa_key_derivation.c
  ${cracen}/cracenpsa/src/cracen_psa_key_management.c
  ${cracen}/cracenpsa/src/cracen_psa_kmu.c
  ${cracen}/cracenpsa/src/cracen_psa_mac.c
  ${cracen}/cracenpsa/src/cracen_psa_sign_verify.c
  ${cracen}/cracenpsa/src/internal/ecc/cracen_ecc_helpers.c
  ${cracen}/cracenpsa/src/internal/ecc/cracen_ecc_key_management.c
  ${cracen}/cracenpsa/src/internal/ecc/cracen_ecc_signature.c
  ${cracen}/cracenpsa/src/internal/key_derivation/cracen_kdf_common.c
  ${cracen}/cracenpsa/src/internal/key_derivation/cracen_sp800_108_ctr_mac.c
  ${cracen}/cracenpsa/src/internal/mac/cracen_mac_cmac.c
  subsys/nrf_security/src/utils/nrf_security_mem_helpers.c
)
  sdk_file(source ${driver})
  target_sources(app PRIVATE ${source})
endforeach()
target_sources(app PRIVATE cracen.c)
if(CONFIG_CPU_CORTEX_M)
  zephyr_linker_sources(NOINIT kmu_push_area.ld)
endif()
target_include_directories(app PRIVATE
  include/cracen
  ${ZEPHYR_NRF_MODULE_DIR}/${cracen}/common/include
  ${ZEPHYR_NRF_MODULE_DIR}/${cracen}/cracenpsa/include
  ${ZEPHYR_NRF_MODULE_DIR}/${cracen}/cracenpsa/src
  ${ZEPHYR_NRF_MODULE_DIR}/${cracen}/silexpk/include
  ${ZEPHYR_NRF_MODULE_DIR}/${cracen}/sxsymcrypt/include
  ${ZEPHYR_NRF_MODULE_DIR}/subsys/nrf_security/include
  ${ZEPHYR_NRF_MODULE_DIR}/subsys/nrf_security/src/utils
  ${ZEPHYR_OBERON_PSA_CRYPTO_MODULE_DIR}/include
  ${ZEPHYR_MBEDTLS_MODULE_DIR}/include
)
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
