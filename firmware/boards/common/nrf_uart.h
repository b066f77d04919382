/* SPDX-License-Identifier: Apache-2.0 */
/* UART of the nRF51 and nRF52 (product specifications: CLOCK, GPIO, UART), polled. On the nRF52840 it is the plain
 * view of the instance that UARTE0 moves by DMA: six bytes of receive FIFO, and no buffers in RAM. */
#ifndef NRF_UART_H
#define NRF_UART_H

#include "reg.h"
#include "uart.h"

#if UART_BAUD > 1000000
#error "the UART of an nRF has at most 1,000,000 baud: give export.firmware a lower --baud"
#endif

#define NRF_CLOCK 0x40000000u
#define NRF_UART0 0x40002000u
#define NRF_P0 0x50000000u
enum { HFCLKSTART = 0x000, HFCLKSTARTED = 0x100 };
enum { STARTRX = 0x000, STARTTX = 0x008, RXDRDY = 0x108, TXDRDY = 0x11C, UART_ENABLE = 0x500 };
enum { PSEL_TXD = 0x50C, PSEL_RXD = 0x514, RXD = 0x518, TXD = 0x51C, BAUDRATE = 0x524 };
/* Of 2^32 / 16 MHz, to the next 4096. */
#define NRF_BAUDRATE ((uint32_t)((((uint64_t)UART_BAUD << 32) / 16000000u + 0x800u) & ~(uint64_t)0xFFFu))
enum { OUTSET = 0x508, DIRSET = 0x518, PIN_CNF = 0x700, NRF_PORT_BYTES = 0x300 };

/* The crystal oscillator: the internal one is too coarse for a serial line over temperature. */
static inline void nrf_crystal_start(void)
{
    *reg(NRF_CLOCK + HFCLKSTARTED) = 0u;
    *reg(NRF_CLOCK + HFCLKSTART) = 1u;
    (void)reg_wait(NRF_CLOCK + HFCLKSTARTED, 1u, 1u);
}

/* Pins: 32 * port + number. */
static inline void nrf_uart_start(uint32_t tx, uint32_t rx)
{
    const uintptr_t tx_port = NRF_P0 + NRF_PORT_BYTES * (tx >> 5), rx_port = NRF_P0 + NRF_PORT_BYTES * (rx >> 5);
    *reg(tx_port + OUTSET) = (uint32_t)1 << (tx & 31u);
    *reg(tx_port + DIRSET) = (uint32_t)1 << (tx & 31u);
    *reg(rx_port + PIN_CNF + 4u * (rx & 31u)) = 3u << 2; /* input, pull-up */
    *reg(NRF_UART0 + PSEL_TXD) = tx;
    *reg(NRF_UART0 + PSEL_RXD) = rx;
    *reg(NRF_UART0 + BAUDRATE) = NRF_BAUDRATE;
    *reg(NRF_UART0 + UART_ENABLE) = 4u;
    *reg(NRF_UART0 + RXDRDY) = 0u;
    *reg(NRF_UART0 + STARTTX) = 1u;
    *reg(NRF_UART0 + STARTRX) = 1u;
}

/* Waits until the byte is out, so there is nothing to drain. */
static inline void nrf_uart_put(uint8_t byte)
{
    *reg(NRF_UART0 + TXDRDY) = 0u;
    *reg(NRF_UART0 + TXD) = byte;
    while (*reg(NRF_UART0 + TXDRDY) == 0u) {
    }
}

/* The event goes before the byte is taken: one more byte in the FIFO then sets it again. */
static inline uint8_t nrf_uart_get(void)
{
    while (*reg(NRF_UART0 + RXDRDY) == 0u) {
    }
    *reg(NRF_UART0 + RXDRDY) = 0u;
    return (uint8_t)*reg(NRF_UART0 + RXD);
}

#endif
