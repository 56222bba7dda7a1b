# SPDX-License-Identifier: Apache-2.0

# What an image, and TF-M in tests/tfm, compile of the SDK's CRACEN driver: all that a seed and the keys derived from it
# need, down to nrfx, the AES engine and the key generator. Include it after cmake/sdk.cmake.
set(cracen subsys/nrf_security/src/drivers/cracen)
set(cracen_sources)
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
  list(APPEND cracen_sources ${source})
endforeach()
set(cracen_includes
  ${CMAKE_CURRENT_LIST_DIR}/include/cracen
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
