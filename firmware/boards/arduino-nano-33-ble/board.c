/* SPDX-License-Identifier: Apache-2.0 */
/* Arduino Nano 33 BLE: nRF52840 at 64 MHz behind a boot loader of 64 KB. Pins TX (P1.03) and RX (P1.10), 3.3 V: its
 * USB socket is the chip's own and carries no UART. */
#include "channel.h"
#include "dwt.h"
#include "lg_board.h"
#include "nrf_uart.h"
#include "uart.h"

#define NVMC_ICACHECNF 0x4001E540u
enum { TX = 32 + 3, RX = 32 + 10 };

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
