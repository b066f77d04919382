/* SPDX-License-Identifier: Apache-2.0 */
#include "systick.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

enum { BITS = 24 };
static const uint32_t top = ((uint32_t)1 << BITS) - 1u;
static volatile uint32_t wraps;

void lg_systick(void);

void lg_systick(void)
{
    wraps++;
}

void systick_start(void)
{
    wraps = 0u;
    SYST_RVR = top;
    SYST_CVR = 0u;
    SYST_CSR = 7u; /* core clock, exception on wrap, enabled */
}

uint32_t systick_ticks(void)
{
    uint32_t before, low;
    do {
        before = wraps;
        low = top - SYST_CVR;
    } while (before != wraps);
    return (before << BITS) + low;
}
