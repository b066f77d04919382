/* SPDX-License-Identifier: Apache-2.0 */
/* Arm MPS3, AN547: the core's SysTick, at 32 MHz, as the counter. */
#include "channel.h"
#include "lg_board.h"
#include "systick.h"

void lg_board_init(void)
{
    channel_open();
    systick_start();
}

uint32_t lg_board_ticks(void)
{
    return systick_ticks();
}
