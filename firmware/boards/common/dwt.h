/* SPDX-License-Identifier: Apache-2.0 */
/* The cycle counter of cores from Cortex-M3 on: DWT_CYCCNT (Armv7-M manual, Data Watchpoint and Trace unit). */
#ifndef DWT_H
#define DWT_H

#include "reg.h"

#define DEMCR 0xE000EDFCu
#define DWT_CTRL 0xE0001000u
#define DWT_CYCCNT 0xE0001004u
#define DWT_LAR 0xE0001FB0u

static inline void dwt_start(void)
{
    *reg(DEMCR) |= (uint32_t)1 << 24; /* TRCENA */
    *reg(DWT_LAR) = 0xC5ACCE55u;      /* unlocks the unit on Cortex-M7; others ignore it */
    *reg(DWT_CYCCNT) = 0u;
    *reg(DWT_CTRL) |= 1u;
}

static inline uint32_t dwt_ticks(void)
{
    return *reg(DWT_CYCCNT);
}

#endif
