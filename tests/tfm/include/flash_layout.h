/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Where TF-M's data are in flash, which is not modelled. */
