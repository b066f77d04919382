/* Arm MPS3, AN547: the core's SysTick, at 32 MHz, as the counter. */
#include "host_channel.h"
#include "lg_board.h"
#include "systick.h"

void lg_board_init(void)
{
    host_channel_open();
    systick_start();
}

uint32_t lg_board_ticks(void)
{
    return systick_ticks();
}
