/* SPDX-License-Identifier: Apache-2.0 */
/* BBC micro:bit: TIMER0 of the nRF51, 32 bits at 16 MHz, as the counter; serial line to the USB chip. */
#include "channel.h"
#include "lg_board.h"
#include "nrf_uart.h"
#include "uart.h"

#define TIMER0 0x40008000u
enum { START = 0x000, CAPTURE0 = 0x040, BITMODE = 0x508, PRESCALER = 0x510, CC0 = 0x540 };
enum { TX = 24, RX = 25 };

void lg_board_init(void)
{
    channel_open();
    *reg(TIMER0 + BITMODE) = 3u; /* 32 bits */
    *reg(TIMER0 + PRESCALER) = 0u;
    *reg(TIMER0 + START) = 1u;
}

uint32_t lg_board_ticks(void)
{
    *reg(TIMER0 + CAPTURE0) = 1u;
    return *reg(TIMER0 + CC0);
}

void uart_open(void)
{
    nrf_crystal_start();
    nrf_uart_start(TX, RX);
}

void uart_put(uint8_t byte)
{
    nrf_uart_put(byte);
}

uint8_t uart_get(void)
{
    return nrf_uart_get();
}

void uart_drain(void)
{
}
