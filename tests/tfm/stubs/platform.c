/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What lies below the start of TF-M: memory protection, flash, the log, and how it ends. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

#if defined(CONFIG_HAS_HW_NRF_CRACEN)
#include <nrfx_rramc.h>
#endif

#include "fih.h"
#include "psa/error.h"
#include "flash_otp_nv_counters_backend.h"
#include "tfm_hal_defs.h"
#include "tfm_hal_isolation.h"
#include "tfm_plat_defs.h"
#include "tfm_boot_status.h"

#include "../src/end.h"

/* TF-M's linker script has the boot stack here. Its limit is not set. */
uint32_t boot_stack __asm__("Image$$ARM_LIB_STACK$$ZI$$Base");

FIH_RET_TYPE(enum tfm_hal_status_t) tfm_hal_set_up_static_boundaries(uintptr_t *p_spm_boundary)
{
#if defined(CONFIG_HAS_HW_NRF_CRACEN)
	/* TF-M's target_cfg_54l.c leaves the RRAMC in write mode. */
	nrfx_rramc_write_enable_set(true, 0);
#endif
	*p_spm_boundary = 0;
	FIH_RET(TFM_HAL_SUCCESS);
}

enum tfm_hal_status_t tfm_hal_platform_common_init(void)
{
	return TFM_HAL_SUCCESS;
}

bool tfm_test_wants_closed_ports(void)
{
	return IS_ENABLED(TFM_WANTS_CLOSED_PORTS);
}

bool tfm_test_hashes_cose_key(void)
{
	return IS_ENABLED(TFM_HASHES_COSE_KEY);
}

/* The area that TF-M's backend fills with zeros when it finds it erased. */
enum tfm_plat_err_t init_otp_nv_counters_flash(void)
{
	return TFM_PLAT_ERR_SUCCESS;
}

enum tfm_plat_err_t read_otp_nv_counters_flash(uint32_t offset, void *data, uint32_t cnt)
{
	(void)offset;
	memset(data, 0, cnt);
	return TFM_PLAT_ERR_SUCCESS;
}

enum tfm_plat_err_t write_otp_nv_counters_flash(uint32_t offset, const void *data, uint32_t cnt)
{
	(void)offset;
	(void)data;
	(void)cnt;
	return TFM_PLAT_ERR_SYSTEM_ERR;
}

/* No bootloader has left anything. */
void tfm_core_validate_boot_data(void)
{
}

int32_t tfm_core_get_boot_data(uint8_t major_type, struct tfm_boot_data *boot_data, uint32_t len)
{
	(void)major_type;
	if (len < sizeof(boot_data->header)) {
		return -1;
	}
	boot_data->header.tlv_magic = SHARED_DATA_TLV_INFO_MAGIC;
	boot_data->header.tlv_tot_len = sizeof(boot_data->header);
	return 0;
}

int32_t tfm_hal_output_spm_log(const char *str, uint32_t len)
{
	printk("TF-M: %.*s\n", (int)strcspn(str, "\r\n"), str);
	return len;
}

int32_t spm_log_msgval(const char *msg, size_t len, uint32_t value)
{
	printk("TF-M: %.*s0x%x\n", (int)len, msg, value);
	return len;
}

/* The log from TF-M 2.2 on, in pieces. */
int stdio_output_string(const char *str, uint32_t len)
{
	printk("%.*s", (int)len, str);
	return len;
}

void tfm_platform_hal_system_reset(void)
{
	tfm_test_end(TFM_TEST_RESET);
}

void tfm_core_panic(void)
{
	tfm_test_end(TFM_TEST_PANIC);
}

psa_status_t tfm_crypto_init(void);
psa_status_t attest_partition_init(void);

/* The SPM has started, and would schedule its partitions: their init functions first. */
void tfm_core_handler_mode(void)
{
	if (tfm_crypto_init() != PSA_SUCCESS || attest_partition_init() != PSA_SUCCESS) {
		/* As sfn_common_thread.c. */
		tfm_core_panic();
	}
	tfm_test_end(TFM_TEST_RUNNING);
}

/* The name of this from TF-M 2.1 on. */
uint32_t tfm_spm_init(void)
{
	tfm_core_handler_mode();
	return 0;
}
