/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Stands in for the partition manager's output: the bootloader storage is at the start of OTP
 * (the SDK's cmake/partition_manager.cmake), which is where the MDK's NRF_UICR_Type has it.
 */

#if defined(NRF5340_XXAA_APPLICATION)
#define PM_PROVISION_ADDRESS 0x00FF8100
#elif defined(NRF91_SERIES)
#define PM_PROVISION_ADDRESS 0x00FF8108
#elif defined(NRF54L15_XXAA)
#define PM_PROVISION_ADDRESS 0x00FFD500
#endif
