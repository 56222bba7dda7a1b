# SPDX-License-Identifier: Apache-2.0

# TF-M's crypto partition with Mbed TLS, and the SDK's key drivers as TF-M has them, for parts with a CryptoCell.

set(silicon_includes
  ${CMAKE_CURRENT_SOURCE_DIR}/../../crates/model/silicon/zephyr/include/common
  ${CMAKE_CURRENT_SOURCE_DIR}/../../crates/model/silicon/zephyr/include/cryptocell
)
list(APPEND client_includes ${silicon_includes})
list(APPEND tfm_includes ${ZEPHYR_NRFXLIB_MODULE_DIR}/crypto/nrf_cc312_platform/include)
list(APPEND tfm_definitions CONFIG_HAS_HW_NRF_CC3XX CONFIG_PSA_NEED_CC3XX_CTR_DRBG_DRIVER)

sdk_file(huk lib/hw_unique_key/hw_unique_key_cc3xx.c lib/hw_unique_key/hw_unique_key.c)
sdk_file(huk_kmu lib/hw_unique_key/hw_unique_key_cc3xx_kmu.c lib/hw_unique_key/hw_unique_key_kmu.c)
sdk_file(identity_key lib/identity_key/identity_key.c)
tfm_library(tfm_drivers
  INCLUDES
  ${silicon_includes}
  SOURCES
  ${huk}
  ${huk_kmu}
  ${identity_key}
)
set(platform_stub stubs/cryptocell.c)

file(GLOB mbedtls_sources CONFIGURE_DEPENDS ${mbedtls}/library/*.c)
list(FILTER mbedtls_sources EXCLUDE REGEX "/(ssl|x509|net_sockets|mps|timing|psa_its_file|psa_crypto_storage)[^/]*$")
set(crypto_includes
  ${mbedtls}/include
  ${mbedtls}/include/library
  ${mbedtls}/library
  ${silicon_includes}
)
set(crypto_definitions
  MBEDTLS_CONFIG_FILE=\"tfm_mbedtls_config.h\"
  MBEDTLS_PSA_CRYPTO_BUILTIN_KEYS
  MBEDTLS_PSA_CRYPTO_DRIVERS
  PSA_CRYPTO_DRIVER_TFM_BUILTIN_KEY_LOADER
)
set(crypto_sources
  ${boards}/common/crypto_keys.c
  ${mbedtls_sources}
  ${tfm}/secure_fw/partitions/crypto/crypto_library.c
  ${tfm}/secure_fw/partitions/crypto/psa_driver_api/tfm_builtin_key_loader.c
  stubs/random.c
)
