/* SPDX-License-Identifier: Apache-2.0 */
/* Arm MPS2 (AN385, AN386, AN500, AN505): CMSDK timer 0 as the counter. */
#include "channel.h"
#include "cmsdk_timer.h"
#include "lg_board.h"

#define TIMER0 0x40000000u

void lg_board_init(void)
{
    channel_open();
    cmsdk_timer_start(TIMER0);
}

uint32_t lg_board_ticks(void)
{
    return cmsdk_timer_ticks(TIMER0);
}
