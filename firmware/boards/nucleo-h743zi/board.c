/* SPDX-License-Identifier: Apache-2.0 */
/* NUCLEO-H743ZI (STM32H743, reference manual RM0433: PWR, RCC, Embedded Flash, USART); USART3 on PD8 and PD9 goes to
 * the ST-LINK's serial port.
 *
 *   HSI 64 MHz / 4 * 50 / 2 = 400 MHz core; buses AXI and AHB 200 MHz, APB 100 MHz; voltage scale 1, LDO supply
 *
 * 400 MHz is what every revision of the chip reaches. Variables lie in DTCM, as fast as the core and outside the data
 * cache, so times do not depend on what ran before; code and constants go through both caches. USART3 runs on HSI.
 * If a step of the clock does not answer, the core stays at 64 MHz. */
#include "channel.h"
#include "dwt.h"
#include "lg_board.h"
#include "uart.h"

#define RCC 0x58024400u
enum { RCC_CR = 0x00, RCC_CFGR = 0x10, RCC_D1CFGR = 0x18, RCC_D2CFGR = 0x1C, RCC_D3CFGR = 0x20 };
enum { RCC_PLLCKSELR = 0x28, RCC_PLLCFGR = 0x2C, RCC_PLL1DIVR = 0x30, RCC_D2CCIP2R = 0x54 };
enum { RCC_AHB4ENR = 0xE0, RCC_APB1LENR = 0xE8 };
#define PWR 0x58024800u
enum { PWR_CSR1 = 0x04, PWR_CR3 = 0x0C, PWR_D3CR = 0x18 };
#define FLASH_ACR 0x52002000u
#define GPIOD 0x58020C00u
enum { MODER = 0x00, PUPDR = 0x0C, AFRH = 0x24 };
#define USART3 0x40004800u
enum { CR1 = 0x00, BRR = 0x0C, ISR = 0x1C, ICR = 0x20, RDR = 0x24, TDR = 0x28 };
enum { UE = 1 << 0, RE = 1 << 2, TE = 1 << 3, ORE = 1 << 3, RXNE = 1 << 5, TC = 1 << 6, TXE = 1 << 7 };
enum { HSI_HZ = 64000000 };
#define FIFOEN ((uint32_t)1 << 29)
#define SCB_CCR 0xE000ED14u
#define SCB_CCSIDR 0xE000ED80u
#define SCB_CSSELR 0xE000ED84u
#define SCB_ICIALLU 0xE000EF50u
#define SCB_DCISW 0xE000EF60u

static void clock_start(void)
{
    *reg(PWR + PWR_CR3) = (*reg(PWR + PWR_CR3) & ~7u) | 2u;  /* LDOEN; locks until power goes */
    if (reg_wait(PWR + PWR_CSR1, 1u << 13, 1u << 13) != 0) { /* ACTVOSRDY */
        return;
    }
    *reg(PWR + PWR_D3CR) |= 3u << 14;                        /* VOS: scale 1 */
    if (reg_wait(PWR + PWR_D3CR, 1u << 13, 1u << 13) != 0) { /* VOSRDY */
        return;
    }
    *reg(RCC + RCC_PLLCKSELR) = (*reg(RCC + RCC_PLLCKSELR) & ~0x3F3u) | 4u << 4; /* HSI, DIVM1 4 */
    *reg(RCC + RCC_PLLCFGR) =
        (*reg(RCC + RCC_PLLCFGR) & ~0xFu) | 3u << 2 | (uint32_t)1 << 16;     /* 8-16 MHz in, wide, P */
    *reg(RCC + RCC_PLL1DIVR) = 49u | 1u << 9 | 1u << 16 | (uint32_t)1 << 24; /* N 50; P, Q, R 2 */
    *reg(RCC + RCC_CR) |= (uint32_t)1 << 24;                                 /* PLL1ON */
    if (reg_wait(RCC + RCC_CR, (uint32_t)1 << 25, (uint32_t)1 << 25) != 0) { /* PLL1RDY */
        return;
    }
    *reg(FLASH_ACR) = 2u | 2u << 4; /* 2 wait states, programming delay for 185-210 MHz */
    if (reg_wait(FLASH_ACR, 0xFu, 2u) != 0) {
        return;
    }
    *reg(RCC + RCC_D1CFGR) = 8u | 4u << 4; /* HPRE / 2, D1PPRE / 2, D1CPRE / 1 */
    *reg(RCC + RCC_D2CFGR) = 4u << 4 | 4u << 8;
    *reg(RCC + RCC_D3CFGR) = 4u << 4;
    *reg(RCC + RCC_CFGR) = (*reg(RCC + RCC_CFGR) & ~7u) | 3u; /* SW: PLL1 */
    (void)reg_wait(RCC + RCC_CFGR, 7u << 3, 3u << 3);
}

/* Caches hold anything after reset: invalidate, then enable (Armv7-M manual, cache maintenance). */
static void caches_start(void)
{
    *reg(SCB_CSSELR) = 0u;
    __asm__ volatile("dsb" ::: "memory");
    const uint32_t geometry = *reg(SCB_CCSIDR);
    const uint32_t sets = ((geometry >> 13) & 0x7FFFu) + 1u, ways = ((geometry >> 3) & 0x3FFu) + 1u;
    for (uint32_t set = 0; set < sets; set++) {
        for (uint32_t way = 0; way < ways; way++) {
            *reg(SCB_DCISW) = way << 30 | set << 5; /* 4 ways, lines of 32 bytes */
        }
    }
    *reg(SCB_ICIALLU) = 0u;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    *reg(SCB_CCR) |= 3u << 16; /* data and instruction cache */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

void lg_board_init(void)
{
    clock_start();
    caches_start();
    dwt_start();
    channel_open();
}

uint32_t lg_board_ticks(void)
{
    return dwt_ticks();
}

void uart_open(void)
{
    *reg(RCC + RCC_AHB4ENR) |= 1u << 3;            /* GPIOD */
    *reg(RCC + RCC_APB1LENR) |= (uint32_t)1 << 18; /* USART3 */
    (void)*reg(RCC + RCC_APB1LENR);
    *reg(RCC + RCC_D2CCIP2R) = (*reg(RCC + RCC_D2CCIP2R) & ~7u) | 3u; /* USART2, 3, 4, 5, 7, 8: HSI */
    *reg(GPIOD + AFRH) = (*reg(GPIOD + AFRH) & ~0xFFu) | 0x77u;       /* PD8, PD9: AF7 */
    *reg(GPIOD + PUPDR) = (*reg(GPIOD + PUPDR) & ~(15u << 16)) | 5u << 16;
    *reg(GPIOD + MODER) = (*reg(GPIOD + MODER) & ~(15u << 16)) | 10u << 16;
    *reg(USART3 + BRR) = (HSI_HZ + UART_BAUD / 2u) / UART_BAUD;
    *reg(USART3 + CR1) = FIFOEN | RE | TE | UE;
}

void uart_put(uint8_t byte)
{
    while ((*reg(USART3 + ISR) & TXE) == 0u) {
    }
    *reg(USART3 + TDR) = byte;
}

uint8_t uart_get(void)
{
    while ((*reg(USART3 + ISR) & RXNE) == 0u) {
    }
    if ((*reg(USART3 + ISR) & ORE) != 0u) {
        *reg(USART3 + ICR) = ORE;
    }
    return (uint8_t)*reg(USART3 + RDR);
}

void uart_drain(void)
{
    while ((*reg(USART3 + ISR) & TC) == 0u) {
    }
}
