/* SPDX-License-Identifier: Apache-2.0 */
/* Raspberry Pi Pico (RP2040 data sheet: Clocks, XOSC, PLL, Resets, GPIO, UART); UART0 on GP0 and GP1.
 *
 *   crystal 12 MHz * 125 / 6 / 2 = 125 MHz core and peripherals
 *
 * The boot ROM copies the first 256 bytes of the flash (rp2040_boot2.c) and runs them; they make the flash readable as
 * memory. The second core stays asleep. SysTick is the counter: the Cortex-M0+ has no cycle counter. */
#include "channel.h"
#include "lg_board.h"
#include "reg.h"
#include "systick.h"
#include "uart.h"

#define RESETS 0x4000C000u
enum { RESET = 0x0, RESET_DONE = 0x8 };
enum { IO_BANK0 = 1 << 5, PADS_BANK0 = 1 << 8, PLL_SYS = 1 << 12, UART0 = 1 << 22 };
#define CLOCKS 0x40008000u
enum {
    CLK_REF_CTRL = 0x30,
    CLK_REF_SELECTED = 0x38,
    CLK_SYS_CTRL = 0x3C,
    CLK_SYS_SELECTED = 0x44,
    CLK_PERI_CTRL = 0x48
};
#define XOSC 0x40024000u
enum { XOSC_CTRL = 0x0, XOSC_STATUS = 0x4, XOSC_STARTUP = 0xC };
#define PLL 0x40028000u
enum { PLL_CS = 0x0, PLL_PWR = 0x4, PLL_FBDIV = 0x8, PLL_PRIM = 0xC };
#define IO_BANK0_BASE 0x40014000u
#define UART0_BASE 0x40034000u
enum { DR = 0x00, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2C, CR = 0x30 };
enum { FR_BUSY = 1 << 3, FR_RXFE = 1 << 4, FR_TXFF = 1 << 5 };
enum { TX = 0, RX = 1, FUNCTION_UART = 2, PERI_HZ = 125000000 };
#define TOP_BIT ((uint32_t)1 << 31)

static void release(uint32_t blocks)
{
    *reg(RESETS + RESET) &= ~blocks;
    (void)reg_wait(RESETS + RESET_DONE, blocks, blocks);
}

static void clock_start(void)
{
    *reg(XOSC + XOSC_CTRL) = 0xAA0u; /* 1 to 15 MHz */
    *reg(XOSC + XOSC_STARTUP) = 47u; /* 1 ms, in units of 256 periods */
    *reg(XOSC + XOSC_CTRL) = 0xFABAA0u;
    while ((*reg(XOSC + XOSC_STATUS) & TOP_BIT) == 0u) {
    }
    *reg(CLOCKS + CLK_REF_CTRL) = 2u; /* crystal */
    while (*reg(CLOCKS + CLK_REF_SELECTED) != 1u << 2) {
    }
    *reg(CLOCKS + CLK_SYS_CTRL) = 0u; /* from the reference while the PLL changes */
    while (*reg(CLOCKS + CLK_SYS_SELECTED) != 1u << 0) {
    }
    *reg(RESETS + RESET) |= PLL_SYS;
    release(PLL_SYS);
    *reg(PLL + PLL_CS) = 1u; /* reference divided by 1 */
    *reg(PLL + PLL_FBDIV) = 125u;
    *reg(PLL + PLL_PWR) = 1u << 2 | 1u << 3; /* on, but for the post dividers; no fractional part */
    while ((*reg(PLL + PLL_CS) & TOP_BIT) == 0u) {
    }
    *reg(PLL + PLL_PRIM) = 6u << 16 | 2u << 12;
    *reg(PLL + PLL_PWR) = 1u << 2;
    *reg(CLOCKS + CLK_SYS_CTRL) = 0u << 5; /* auxiliary source: the PLL */
    *reg(CLOCKS + CLK_SYS_CTRL) = 0u << 5 | 1u;
    while (*reg(CLOCKS + CLK_SYS_SELECTED) != 1u << 1) {
    }
    *reg(CLOCKS + CLK_PERI_CTRL) = 1u << 11; /* enabled, from the core's clock */
}

void lg_board_init(void)
{
    clock_start();
    release(IO_BANK0 | PADS_BANK0);
    systick_start();
    channel_open();
}

uint32_t lg_board_ticks(void)
{
    return systick_ticks();
}

typedef char uart_is_fast_enough[PERI_HZ / 16 >= UART_BAUD ? 1 : -1];

void uart_open(void)
{
    enum { DIVISOR = (int)((8LL * PERI_HZ / UART_BAUD + 1) / 2) }; /* divisor in 1/64 */
    release(UART0);
    *reg(IO_BANK0_BASE + 8u * TX + 4u) = FUNCTION_UART;
    *reg(IO_BANK0_BASE + 8u * RX + 4u) = FUNCTION_UART;
    *reg(UART0_BASE + IBRD) = DIVISOR >> 6;
    *reg(UART0_BASE + FBRD) = DIVISOR & 63;
    *reg(UART0_BASE + LCR_H) = 3u << 5 | 1u << 4;   /* 8 bits, FIFOs of 32 bytes; this write latches the divisor */
    *reg(UART0_BASE + CR) = 1u << 9 | 1u << 8 | 1u; /* receive, transmit, on */
}

void uart_put(uint8_t byte)
{
    while ((*reg(UART0_BASE + FR) & FR_TXFF) != 0u) {
    }
    *reg(UART0_BASE + DR) = byte;
}

uint8_t uart_get(void)
{
    while ((*reg(UART0_BASE + FR) & FR_RXFE) != 0u) {
    }
    return (uint8_t)*reg(UART0_BASE + DR);
}

void uart_drain(void)
{
    while ((*reg(UART0_BASE + FR) & FR_BUSY) != 0u) {
    }
}
