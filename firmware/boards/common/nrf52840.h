/* SPDX-License-Identifier: Apache-2.0 */
/* What every board with an nRF52840 gives to a program: 64 MHz after reset, the cache of the flash on. Its board.c says on
 * which pins the serial line is, TX and RX, 32 * port + number each, and includes this. */
#ifndef NRF52840_H
#define NRF52840_H

#include "channel.h"
#include "dwt.h"
#include "lg_board.h"
#include "nrf_uart.h"
#include "uart.h"

#define NVMC_ICACHECNF 0x4001E540u

void lg_board_init(void)
{
    *reg(NVMC_ICACHECNF) = 1u; /* cache of the flash, off after reset */
    dwt_start();
    channel_open();
}

uint32_t lg_board_ticks(void)
{
    return dwt_ticks();
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

#endif
