/* SPDX-License-Identifier: Apache-2.0 */
/* SysTick as a 32-bit counter: its 24 bits, counting down, and the wraps, counted in the exception. A wrap
 * costs the few instructions of its handler. */
#ifndef SYSTICK_H
#define SYSTICK_H

#include <stdint.h>

void systick_start(void);
uint32_t systick_ticks(void);

#endif
