/* SPDX-License-Identifier: Apache-2.0 */
/* The board's share of code. As it stands the chip stays at the clock that it wakes up with, SysTick counts, and the
 * program talks through a debugger (semihosting). docs/own-board.md says what else belongs here: a faster clock, the
 * four functions of a serial line. */
#include "channel.h"
#include "lg_board.h"
#include "systick.h"

void lg_board_init(void)
{
    /* A faster clock is set here; its frequency is clock_hz of board.json. */
    channel_open();
    systick_start();
}

uint32_t lg_board_ticks(void)
{
    return systick_ticks();
}
