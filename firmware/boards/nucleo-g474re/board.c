/* SPDX-License-Identifier: Apache-2.0 */
/* NUCLEO-G474RE (STM32G474, reference manual RM0440: RCC, Embedded Flash, GPIO, USART); USART2 on PA2 and PA3 goes to
 * the ST-LINK's serial port.
 *
 *   HSI 16 MHz / 4 * 75 / 2 = 150 MHz core and buses; 4 wait states, voltage range 1 without boost
 *
 * RAM is SRAM1 (80 K), SRAM2 (16 K) and the alias of the CCM SRAM (32 K) behind them. USART2 runs on HSI. If a step of
 * the clock does not answer, the core stays at 16 MHz. */
#include "channel.h"
#include "dwt.h"
#include "lg_board.h"
#include "reg.h"
#include "uart.h"

#define RCC 0x40021000u
enum { RCC_CR = 0x00, RCC_CFGR = 0x08, RCC_PLLCFGR = 0x0C, RCC_AHB2ENR = 0x4C, RCC_APB1ENR1 = 0x58, RCC_CCIPR = 0x88 };
#define FLASH_ACR 0x40022000u
#define GPIOA 0x48000000u
enum { MODER = 0x00, PUPDR = 0x0C, AFRL = 0x20 };
#define USART2 0x40004400u
enum { CR1 = 0x00, BRR = 0x0C, ISR = 0x1C, ICR = 0x20, RDR = 0x24, TDR = 0x28 };
enum { UE = 1 << 0, RE = 1 << 2, TE = 1 << 3, ORE = 1 << 3, RXNE = 1 << 5, TC = 1 << 6, TXE = 1 << 7 };
enum { HSI_HZ = 16000000 };
#define FIFOEN ((uint32_t)1 << 29)

static void clock_start(void)
{
    *reg(RCC + RCC_PLLCFGR) = 2u | 3u << 4 | 75u << 8 | (uint32_t)1 << 24;   /* HSI, M 4, N 75, R 2 */
    *reg(RCC + RCC_CR) |= (uint32_t)1 << 24;                                 /* PLLON */
    if (reg_wait(RCC + RCC_CR, (uint32_t)1 << 25, (uint32_t)1 << 25) != 0) { /* PLLRDY */
        return;
    }
    *reg(FLASH_ACR) = (*reg(FLASH_ACR) & ~15u) | 4u | 7u << 8; /* 4 wait states, prefetch and both caches */
    if (reg_wait(FLASH_ACR, 15u, 4u) != 0) {
        return;
    }
    *reg(RCC + RCC_CFGR) = 8u << 4 | 3u; /* HPRE / 2, SW: PLL; above 80 MHz in two steps, a microsecond apart */
    if (reg_wait(RCC + RCC_CFGR, 3u << 2, 3u << 2) == 0) {
        (void)reg_wait(RCC + RCC_CFGR, 15u << 4, 0u); /* never: many microseconds */
        *reg(RCC + RCC_CFGR) = 3u;
    }
}

void lg_board_init(void)
{
    clock_start();
    dwt_start();
    channel_open();
}

uint32_t lg_board_ticks(void)
{
    return dwt_ticks();
}

void uart_open(void)
{
    *reg(RCC + RCC_AHB2ENR) |= 1u;                 /* GPIOA */
    *reg(RCC + RCC_APB1ENR1) |= (uint32_t)1 << 17; /* USART2 */
    (void)*reg(RCC + RCC_APB1ENR1);
    *reg(RCC + RCC_CCIPR) = (*reg(RCC + RCC_CCIPR) & ~(3u << 2)) | 2u << 2; /* USART2: HSI */
    *reg(GPIOA + AFRL) = (*reg(GPIOA + AFRL) & ~0xFF00u) | 0x7700u;         /* PA2, PA3: AF7 */
    *reg(GPIOA + PUPDR) = (*reg(GPIOA + PUPDR) & ~0xF0u) | 0x50u;
    *reg(GPIOA + MODER) = (*reg(GPIOA + MODER) & ~0xF0u) | 0xA0u;
    *reg(USART2 + BRR) = (HSI_HZ + UART_BAUD / 2u) / UART_BAUD;
    *reg(USART2 + CR1) = FIFOEN | RE | TE | UE;
}

void uart_put(uint8_t byte)
{
    while ((*reg(USART2 + ISR) & TXE) == 0u) {
    }
    *reg(USART2 + TDR) = byte;
}

uint8_t uart_get(void)
{
    while ((*reg(USART2 + ISR) & RXNE) == 0u) {
    }
    if ((*reg(USART2 + ISR) & ORE) != 0u) {
        *reg(USART2 + ICR) = ORE;
    }
    return (uint8_t)*reg(USART2 + RDR);
}

void uart_drain(void)
{
    while ((*reg(USART2 + ISR) & TC) == 0u) {
    }
}
