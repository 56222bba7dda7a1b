/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* The non-secure side: it is not what this is about. */
int main(void)
{
	return 0;
}
