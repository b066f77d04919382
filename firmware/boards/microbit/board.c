/* BBC micro:bit: TIMER0 of the nRF51, 32 bits at 16 MHz, as the counter. */
#include "host_channel.h"
#include "lg_board.h"

#define TIMER0 0x40008000u
enum { START = 0x000, CAPTURE0 = 0x040, BITMODE = 0x508, PRESCALER = 0x510, CC0 = 0x540 };

static volatile uint32_t *timer(uint32_t offset)
{
    return (volatile uint32_t *)(TIMER0 + offset);
}

void lg_board_init(void)
{
    host_channel_open();
    *timer(BITMODE) = 3u; /* 32 bits */
    *timer(PRESCALER) = 0u;
    *timer(START) = 1u;
}

uint32_t lg_board_ticks(void)
{
    *timer(CAPTURE0) = 1u;
    return *timer(CC0);
}
