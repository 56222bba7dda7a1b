# SPDX-License-Identifier: Apache-2.0

# TF-M as far as it decides anything about the part, compiled from the workspace and unmodified, in libraries as in
# TF-M's own build: the platform with the start of the secure image, the attestation partition, and the crypto partition.
# What lies below and beside them is in stubs/. All of them are one object, of which the test sees a few functions: on a
# part, TF-M is a program of its own.

set(tfm ${ZEPHYR_TRUSTED_FIRMWARE_M_MODULE_DIR})
set(boards ${ZEPHYR_NRF_MODULE_DIR}/modules/trusted-firmware-m/tfm_boards)
set(mbedtls ${ZEPHYR_MBEDTLS_MODULE_DIR})
set(qcbor ${tfm}/../qcbor)
# A module of its own from TF-M 2.3 on.
if(ZEPHYR_T_COSE_MODULE_DIR)
  set(t_cose ${ZEPHYR_T_COSE_MODULE_DIR})
else()
  set(t_cose ${tfm}/lib/ext/t_cose)
endif()

# As CMake of TF-M makes it.
set(PSA_INITIAL_ATTEST_MAX_TOKEN_SIZE 0x250)
configure_file(${tfm}/interface/include/psa/initial_attestation.h.in
               ${CMAKE_CURRENT_BINARY_DIR}/tfm/psa/initial_attestation.h)

set(tfm_includes
  include
  ${CMAKE_CURRENT_BINARY_DIR}/tfm
  ${boards}/board
  ${boards}/common
  ${boards}/services/include
  ${ZEPHYR_NRF_MODULE_DIR}/include
  # The IDs of TF-M's built-in keys are the SDK's, where it has some.
  ${ZEPHYR_NRF_MODULE_DIR}/include/tfm
  ${tfm}/config
  ${tfm}/interface/include/crypto_keys
  ${tfm}/lib/fih/inc
  ${tfm}/lib/tfm_helper_lib
  ${tfm}/lib/tfm_log/inc
  ${tfm}/lib/tfm_log_unpriv/inc
  ${tfm}/lib/tfm_vprintf/inc
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
)
set(tfm_definitions
  # The options of a TF-M that takes on a part: CONFIG_TFM_NRF_PROVISIONING=y with crypto and attestation.
  NRF_PROVISIONING
  CONFIG_BUILD_WITH_TFM=1
  TFM_PARTITION_CRYPTO
  TFM_PARTITION_INITIAL_ATTESTATION
  CONFIG_HW_UNIQUE_KEY
  CONFIG_HW_UNIQUE_KEY_RANDOM
  PLATFORM_DEFAULT_OTP
  # What the SDK calls the default profile of the token, and that it has the optional claims by default.
  CONFIG_TFM_ATTEST_TOKEN_PROFILE_PSA_IOT_1
  CONFIG_TFM_ATTEST_INCLUDE_OPTIONAL_CLAIMS=1
  CONFIG_TFM_ATTEST_VERIFICATION_SERVICE_URL=\"verifier.example\"
  TFM_ISOLATION_LEVEL=1
  CONFIG_TFM_FLOAT_ABI=0
  TFM_SPM_LOG_LEVEL=3
  TFM_PARTITION_LOG_LEVEL=0
  # The names of both from TF-M 2.2 on.
  LOG_LEVEL=LOG_LEVEL_ERROR
  LOG_LEVEL_UNPRIV=LOG_LEVEL_ERROR
  ATTEST_KEY_BITS=256
  PROJECT_CONFIG_HEADER_FILE=\"tfm_project_config.h\"
)

# To SDK 2.7 TF-M closes the debug ports; later it wants to find them closed, and reads UICR through a pointer.
file(STRINGS ${boards}/common/nrf_provisioning.c closes_ports REGEX "nrfx_nvmc_word_write")
if(NOT closes_ports)
  set(ports TFM_WANTS_CLOSED_PORTS=1)
endif()

# From TF-M 2.2 on, the instance ID is the hash of another encoding of the public key.
file(STRINGS ${tfm}/secure_fw/partitions/initial_attestation/attest_asymmetric_key.c hashes_cose_key
     REGEX "t_cose_key_encode")
if(hashes_cose_key)
  list(APPEND tfm_definitions TFM_HASHES_COSE_KEY=1)
endif()

set(tfm_objects)
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
  set(tfm_objects ${tfm_objects} $<TARGET_OBJECTS:${name}> PARENT_SCOPE)
endfunction()

# Those of these files that this version has.
function(existing result)
  set(found)
  foreach(file ${ARGN})
    if(EXISTS ${file})
      list(APPEND found ${file})
    endif()
  endforeach()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# The client's psa/crypto.h is TF-M's own before 2.1, and then the SDK's.
if(EXISTS ${tfm}/interface/include/psa/crypto.h)
  set(client_includes ${tfm}/interface/include)
else()
  set(client_includes ${tfm}/interface/include ${ZEPHYR_OBERON_PSA_CRYPTO_MODULE_DIR}/include ${mbedtls}/include)
endif()

# What differs between the parts: the drivers, what lies below and beside them, and the library of the crypto partition.
if(CONFIG_PROVISIONING_SEED_KEYS)
  include(cracen.cmake)
else()
  include(cryptocell.cmake)
endif()

existing(log ${tfm}/lib/tfm_log/src/tfm_log.c ${tfm}/lib/tfm_vprintf/src/tfm_vprintf.c)
tfm_library(tfm_platform
  INCLUDES
  ${client_includes}
  DEFINITIONS
  ${ports}
  SOURCES
  ${boards}/common/attest_hal.c
  ${boards}/common/nrf_provisioning.c
  ${boards}/common/tfm_hal_platform.c
  ${tfm}/platform/ext/common/template/otp_flash.c
  ${tfm}/secure_fw/partitions/lib/runtime/crt_strnlen.c
  ${tfm}/secure_fw/spm/core/main.c
  ${ZEPHYR_NRF_MODULE_DIR}/subsys/bootloader/bl_storage/bl_storage.c
  ${log}
  stubs/platform.c
  ${platform_stub}
)
# The second name is that which Zephyr gives to main() on native_sim.
set_source_files_properties(${tfm}/secure_fw/spm/core/main.c PROPERTIES
  COMPILE_DEFINITIONS "main=tfm_main;_posix_zephyr_main=tfm_main")

# t_cose 2 has more files than TF-M's t_cose of before.
existing(t_cose_sources
  ${t_cose}/src/t_cose_key.c
  ${t_cose}/src/t_cose_parameters.c
  ${t_cose}/src/t_cose_sign1_sign.c
  ${t_cose}/src/t_cose_sign_sign.c
  ${t_cose}/src/t_cose_signature_sign_main.c
  ${t_cose}/src/t_cose_util.c
)
tfm_library(tfm_attestation
  INCLUDES
  ${client_includes}
  ${t_cose}/inc
  ${t_cose}/src
  ${tfm}/secure_fw/partitions/initial_attestation
  ${qcbor}/inc
  DEFINITIONS
  MBEDTLS_CONFIG_FILE=\"tfm_client_config.h\"
  T_COSE_COMPILE_TIME_CONFIG
  T_COSE_USE_PSA_CRYPTO
  T_COSE_USE_PSA_CRYPTO_FROM_TFM
  T_COSE_DISABLE_CONTENT_TYPE
  T_COSE_DISABLE_COSE_SIGN
  T_COSE_DISABLE_ES384
  T_COSE_DISABLE_ES512
  T_COSE_DISABLE_KEYWRAP
  T_COSE_DISABLE_MAC0
  T_COSE_DISABLE_PS256
  T_COSE_DISABLE_PS384
  T_COSE_DISABLE_PS512
  T_COSE_DISABLE_SHORT_CIRCUIT_SIGN
  T_COSE_DISABLE_SIGN_VERIFY_TESTS
  SOURCES
  ${tfm}/interface/src/tfm_attest_api.c
  ${tfm}/interface/src/tfm_crypto_api.c
  ${t_cose}/crypto_adapters/t_cose_psa_crypto.c
  ${t_cose_sources}
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

existing(crypto_partition
  ${tfm}/secure_fw/partitions/crypto/crypto_aead.c
  ${tfm}/secure_fw/partitions/crypto/crypto_alloc.c
  ${tfm}/secure_fw/partitions/crypto/crypto_asymmetric.c
  ${tfm}/secure_fw/partitions/crypto/crypto_cipher.c
  ${tfm}/secure_fw/partitions/crypto/crypto_hash.c
  ${tfm}/secure_fw/partitions/crypto/crypto_init.c
  ${tfm}/secure_fw/partitions/crypto/crypto_key_derivation.c
  ${tfm}/secure_fw/partitions/crypto/crypto_key_management.c
  ${tfm}/secure_fw/partitions/crypto/crypto_key_wrapping.c
  ${tfm}/secure_fw/partitions/crypto/crypto_mac.c
  ${tfm}/secure_fw/partitions/crypto/crypto_pake.c
  ${tfm}/secure_fw/partitions/crypto/crypto_rng.c
)
tfm_library(tfm_crypto
  INCLUDES
  ${crypto_includes}
  ${tfm}/secure_fw/partitions/crypto
  ${tfm}/secure_fw/partitions/crypto/psa_driver_api
  ${tfm}/platform/ext/accelerator/interface
  ${tfm}/interface/include
  DEFINITIONS
  ${crypto_definitions}
  CRYPTO_HW_ACCELERATOR
  MBEDTLS_PSA_CRYPTO_KEY_ID_ENCODES_OWNER
  PSA_CRYPTO_SECURE
  SOURCES
  ${crypto_partition}
  ${crypto_sources}
)

set(whole ${CMAKE_CURRENT_BINARY_DIR}/tfm/whole.o)
set(program ${CMAKE_CURRENT_BINARY_DIR}/tfm/program.o)
add_custom_command(
  OUTPUT ${program}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${whole} ${tfm_objects}
  COMMAND ${CMAKE_OBJCOPY}
    --keep-global-symbol=psa_initial_attest_get_token
    --keep-global-symbol=tfm_main
    --keep-global-symbol=tfm_test_crypto_as_non_secure
    --keep-global-symbol=tfm_test_hashes_cose_key
    --keep-global-symbol=tfm_test_wants_closed_ports
    ${whole} ${program}
  DEPENDS ${tfm_objects}
  COMMAND_EXPAND_LISTS
)
set_source_files_properties(${program} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
target_sources(app PRIVATE ${program})
