# SPDX-License-Identifier: Apache-2.0

# TF-M as far as it decides anything about the part, compiled from the workspace and unmodified, in three libraries as
# in TF-M's own build: the platform with the start of the secure image, the attestation partition, and the crypto
# partition with Mbed TLS. What lies below and beside them is in stubs/.

set(tfm ${ZEPHYR_TRUSTED_FIRMWARE_M_MODULE_DIR})
set(boards ${ZEPHYR_NRF_MODULE_DIR}/modules/trusted-firmware-m/tfm_boards)
set(mbedtls ${ZEPHYR_MBEDTLS_MODULE_DIR})
set(qcbor ${tfm}/../qcbor)

# As CMake of TF-M makes it.
set(PSA_INITIAL_ATTEST_MAX_TOKEN_SIZE 0x250)
configure_file(${tfm}/interface/include/psa/initial_attestation.h.in
               ${CMAKE_CURRENT_BINARY_DIR}/tfm/psa/initial_attestation.h)

set(tfm_includes
  include
  ${CMAKE_CURRENT_BINARY_DIR}/tfm
  ${boards}/common
  ${boards}/services/include
  ${tfm}/config
  ${tfm}/interface/include/crypto_keys
  ${tfm}/lib/fih/inc
  ${tfm}/platform/ext/common
  ${tfm}/platform/ext/common/template
  ${tfm}/platform/ext/target/nordic_nrf/common/core
  ${tfm}/platform/ext/target/nordic_nrf/common/core/common
  ${tfm}/platform/ext/target/nordic_nrf/common/core/services/include
  ${tfm}/platform/include
  ${tfm}/secure_fw/include
  ${tfm}/secure_fw/partitions/lib/runtime/include
  ${tfm}/secure_fw/shared
  ${tfm}/secure_fw/spm/core
  ${tfm}/secure_fw/spm/include
  ${tfm}/secure_fw/spm/include/boot
  ${tfm}/secure_fw/spm/include/interface
  ${ZEPHYR_NRF_MODULE_DIR}/include
  ${ZEPHYR_NRF_MODULE_DIR}/include/tfm
  ${ZEPHYR_NRFXLIB_MODULE_DIR}/crypto/nrf_cc312_platform/include
)
set(tfm_definitions
  # The options of a TF-M that takes on a part: CONFIG_TFM_NRF_PROVISIONING=y with crypto and attestation.
  NRF_PROVISIONING
  TFM_PARTITION_CRYPTO
  TFM_PARTITION_INITIAL_ATTESTATION
  CONFIG_HW_UNIQUE_KEY
  CONFIG_HAS_HW_NRF_CC3XX
  CONFIG_PSA_NEED_CC3XX_CTR_DRBG_DRIVER
  PLATFORM_DEFAULT_OTP
  # What the SDK calls the default profile of the token, and that it has the optional claims by default.
  CONFIG_TFM_ATTEST_TOKEN_PROFILE_PSA_IOT_1
  CONFIG_TFM_ATTEST_INCLUDE_OPTIONAL_CLAIMS=1
  CONFIG_TFM_ATTEST_VERIFICATION_SERVICE_URL=\"verifier.example\"
  TFM_ISOLATION_LEVEL=1
  CONFIG_TFM_FLOAT_ABI=0
  TFM_SPM_LOG_LEVEL=3
  TFM_PARTITION_LOG_LEVEL=0
  ATTEST_KEY_BITS=256
  PROJECT_CONFIG_HEADER_FILE=\"tfm_project_config.h\"
)

# TF-M has the driver make HUKs where there are none, and bl_storage read the implementation ID.
target_compile_definitions(app PRIVATE CONFIG_HW_UNIQUE_KEY_RANDOM=1 CONFIG_BUILD_WITH_TFM=1)

# To SDK 2.7 TF-M closes the debug ports; later it wants to find them closed, and reads UICR through a pointer.
file(STRINGS ${boards}/common/nrf_provisioning.c closes_ports REGEX "nrfx_nvmc_word_write")
if(NOT closes_ports)
  list(APPEND tfm_definitions TFM_WANTS_CLOSED_PORTS=1)
endif()

function(tfm_library name)
  cmake_parse_arguments(ARG "" "" "INCLUDES;DEFINITIONS;SOURCES" ${ARGN})
  add_library(${name} OBJECT ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${ARG_INCLUDES} ${tfm_includes})
  target_compile_definitions(${name} PRIVATE
    ${tfm_definitions} ${ARG_DEFINITIONS} $<TARGET_PROPERTY:app,COMPILE_DEFINITIONS>)
  # Their warnings are not this project's.
  target_compile_options(${name} PRIVATE -w)
  target_link_libraries(${name} PRIVATE zephyr_interface)
  add_dependencies(${name} zephyr_generated_headers)
  target_sources(app PRIVATE $<TARGET_OBJECTS:${name}>)
endfunction()

# What the model answers under PSA's names is for the key drivers alone; TF-M's client API has names of its own. These
# are all that both have: the attributes are inline functions, and Mbed TLS has TF-M's prefix.
set(client_names
  psa_crypto_init=tfm_psa_crypto_init
  psa_generate_key=tfm_psa_generate_key
  psa_export_key=tfm_psa_export_key
  psa_destroy_key=tfm_psa_destroy_key
)

tfm_library(tfm_platform
  INCLUDES
  ${CMAKE_CURRENT_SOURCE_DIR}/../../crates/model/silicon/zephyr/include/common
  ${CMAKE_CURRENT_SOURCE_DIR}/../../crates/model/silicon/zephyr/include/cryptocell
  ${tfm}/interface/include
  SOURCES
  ${boards}/common/attest_hal.c
  ${boards}/common/nrf_provisioning.c
  ${boards}/common/tfm_hal_platform.c
  ${tfm}/platform/ext/common/template/otp_flash.c
  ${tfm}/secure_fw/partitions/lib/runtime/crt_strnlen.c
  ${tfm}/secure_fw/spm/core/main.c
  stubs/platform.c
)
# The second name is that which Zephyr gives to main() on native_sim.
set_source_files_properties(${tfm}/secure_fw/spm/core/main.c PROPERTIES
  COMPILE_DEFINITIONS "main=tfm_main;_posix_zephyr_main=tfm_main")

# The client's psa/crypto.h is TF-M's own before 2.1, and then the SDK's.
if(EXISTS ${tfm}/interface/include/psa/crypto.h)
  set(client_includes ${tfm}/interface/include)
else()
  set(client_includes ${tfm}/interface/include ${ZEPHYR_OBERON_PSA_CRYPTO_MODULE_DIR}/include ${mbedtls}/include)
endif()
tfm_library(tfm_attestation
  INCLUDES
  ${client_includes}
  ${tfm}/lib/ext/t_cose/inc
  ${tfm}/lib/ext/t_cose/src
  ${tfm}/secure_fw/partitions/initial_attestation
  ${qcbor}/inc
  DEFINITIONS
  ${client_names}
  MBEDTLS_CONFIG_FILE=\"tfm_client_config.h\"
  T_COSE_COMPILE_TIME_CONFIG
  T_COSE_USE_PSA_CRYPTO
  T_COSE_USE_PSA_CRYPTO_FROM_TFM
  T_COSE_DISABLE_CONTENT_TYPE
  T_COSE_DISABLE_ES384
  T_COSE_DISABLE_ES512
  T_COSE_DISABLE_MAC0
  T_COSE_DISABLE_SHORT_CIRCUIT_SIGN
  T_COSE_DISABLE_SIGN_VERIFY_TESTS
  SOURCES
  ${tfm}/interface/src/tfm_attest_api.c
  ${tfm}/interface/src/tfm_crypto_api.c
  ${tfm}/lib/ext/t_cose/crypto_adapters/t_cose_psa_crypto.c
  ${tfm}/lib/ext/t_cose/src/t_cose_parameters.c
  ${tfm}/lib/ext/t_cose/src/t_cose_sign1_sign.c
  ${tfm}/lib/ext/t_cose/src/t_cose_util.c
  ${tfm}/secure_fw/partitions/initial_attestation/attest_asymmetric_key.c
  ${tfm}/secure_fw/partitions/initial_attestation/attest_boot_data.c
  ${tfm}/secure_fw/partitions/initial_attestation/attest_core.c
  ${tfm}/secure_fw/partitions/initial_attestation/attest_token_encode.c
  ${tfm}/secure_fw/partitions/initial_attestation/tfm_attest.c
  ${tfm}/secure_fw/partitions/initial_attestation/tfm_attest_req_mngr.c
  ${qcbor}/src/UsefulBuf.c
  ${qcbor}/src/ieee754.c
  ${qcbor}/src/qcbor_encode.c
  stubs/ipc.c
)

file(GLOB mbedtls_sources CONFIGURE_DEPENDS ${mbedtls}/library/*.c)
list(FILTER mbedtls_sources EXCLUDE REGEX "/(ssl|x509|net_sockets|mps|timing|psa_its_file|psa_crypto_storage)[^/]*$")
tfm_library(tfm_crypto
  INCLUDES
  ${mbedtls}/include
  ${mbedtls}/include/library
  ${mbedtls}/library
  ${tfm}/secure_fw/partitions/crypto
  ${tfm}/secure_fw/partitions/crypto/psa_driver_api
  ${tfm}/platform/ext/accelerator/interface
  ${tfm}/interface/include
  DEFINITIONS
  CRYPTO_HW_ACCELERATOR
  MBEDTLS_CONFIG_FILE=\"tfm_mbedtls_config.h\"
  MBEDTLS_PSA_CRYPTO_BUILTIN_KEYS
  MBEDTLS_PSA_CRYPTO_DRIVERS
  MBEDTLS_PSA_CRYPTO_KEY_ID_ENCODES_OWNER
  PSA_CRYPTO_DRIVER_TFM_BUILTIN_KEY_LOADER
  PSA_CRYPTO_SECURE
  SOURCES
  ${boards}/common/crypto_keys.c
  ${mbedtls_sources}
  ${tfm}/secure_fw/partitions/crypto/crypto_aead.c
  ${tfm}/secure_fw/partitions/crypto/crypto_alloc.c
  ${tfm}/secure_fw/partitions/crypto/crypto_asymmetric.c
  ${tfm}/secure_fw/partitions/crypto/crypto_cipher.c
  ${tfm}/secure_fw/partitions/crypto/crypto_hash.c
  ${tfm}/secure_fw/partitions/crypto/crypto_init.c
  ${tfm}/secure_fw/partitions/crypto/crypto_key_derivation.c
  ${tfm}/secure_fw/partitions/crypto/crypto_key_management.c
  ${tfm}/secure_fw/partitions/crypto/crypto_library.c
  ${tfm}/secure_fw/partitions/crypto/crypto_mac.c
  ${tfm}/secure_fw/partitions/crypto/crypto_pake.c
  ${tfm}/secure_fw/partitions/crypto/crypto_rng.c
  ${tfm}/secure_fw/partitions/crypto/psa_driver_api/tfm_builtin_key_loader.c
  stubs/random.c
)
