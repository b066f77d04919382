/* SPDX-License-Identifier: Apache-2.0 */
/* Semihosting calls of a Cortex-M: BKPT 0xAB with the operation in r0 and its parameter block in r1. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_SEEK = 0x0A, SYS_EXIT_EXTENDED = 0x20 };
enum { OPEN_READ = 0, OPEN_READ_BINARY = 1, OPEN_WRITE = 4 };

static inline int32_t semihosting(uint32_t operation, const void *parameters)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = parameters;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory", "cc");
    return (int32_t)r0;
}

#endif
