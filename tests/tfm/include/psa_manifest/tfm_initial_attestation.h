/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Signals of the IPC model, which the SFN model has no use for. */
