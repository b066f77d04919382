/* STM32VLDISCOVERY: the 24-bit SysTick of the core, at 24 MHz, with its wraps counted, as the counter. */
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
