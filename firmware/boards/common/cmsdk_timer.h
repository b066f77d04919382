/* SPDX-License-Identifier: Apache-2.0 */
/* The 32-bit timer of Arm's CMSDK, which counts down; read upside down it grows. */
#ifndef CMSDK_TIMER_H
#define CMSDK_TIMER_H

#include <stdint.h>

static inline volatile uint32_t *cmsdk_register(uintptr_t base, uint32_t offset)
{
    return (volatile uint32_t *)(base + offset);
}

static inline void cmsdk_timer_start(uintptr_t base)
{
    *cmsdk_register(base, 0x8u) = 0xFFFFFFFFu; /* RELOAD */
    *cmsdk_register(base, 0x4u) = 0xFFFFFFFFu; /* VALUE */
    *cmsdk_register(base, 0x0u) = 1u;          /* CTRL: enable, no interrupt */
}

static inline uint32_t cmsdk_timer_ticks(uintptr_t base)
{
    return ~*cmsdk_register(base, 0x4u);
}

#endif
