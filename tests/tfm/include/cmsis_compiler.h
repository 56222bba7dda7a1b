/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* In the place of CMSIS: GCC's words for what TF-M's sources use. */

#ifndef CMSIS_COMPILER_H_
#define CMSIS_COMPILER_H_

#define __PACKED_STRUCT  struct __attribute__((packed))
#define __STATIC_INLINE  static inline
#define __NO_RETURN      __attribute__((noreturn))
#define __ASM            __asm

#endif /* CMSIS_COMPILER_H_ */
