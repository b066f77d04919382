/* SPDX-License-Identifier: Apache-2.0 */
/* A 32-bit device register by its address. */
#ifndef REG_H
#define REG_H

#include <stdint.h>

static inline volatile uint32_t *reg(uintptr_t address)
{
    return (volatile uint32_t *)address;
}

/* Wait until (register & mask) == value, for a bounded number of polls. 0: it came; -1: it did not. */
static inline int reg_wait(uintptr_t address, uint32_t mask, uint32_t value)
{
    for (uint32_t polls = 0; polls < 100000u; polls++) {
        if ((*reg(address) & mask) == value) {
            return 0;
        }
    }
    return -1;
}

#endif
