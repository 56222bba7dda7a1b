# SPDX-License-Identifier: Apache-2.0

# TF-M's crypto partition above the SDK's CRACEN driver as TF-M builds it, for an nRF54L15. In the place of the PSA core
# between them, and of the engines below, are stubs/psa_core.c and the C side of the model.

set(model ${CMAKE_CURRENT_SOURCE_DIR}/../../crates/model/silicon/zephyr)
include(${model}/cracen_driver.cmake)
sdk_file(hash subsys/nrf_security/src/drivers/cracen/cracenpsa/src/cracen_psa_hash.c)
sdk_file(policy subsys/nrf_security/src/drivers/cracen/cracenpsa/src/cracen_psa_builtin_key_policy.c)

set(silicon_includes ${model}/include/common ${cracen_includes})
set(client_includes include/client ${tfm}/interface/include ${silicon_includes})
list(APPEND tfm_definitions __NRF_TFM__)

set(platform_stub stubs/cracen.c)
set(crypto_includes ${silicon_includes})
set(crypto_definitions MBEDTLS_PSA_CRYPTO_SPM)
set(crypto_sources
  ${cracen_sources}
  ${hash}
  ${policy}
  ${model}/cracen.c
  ${model}/psa_core.c
  stubs/psa_core.c
)
