/* SPDX-License-Identifier: Apache-2.0 */
/* Clock tree and pins of the STM32F4 (RM0090, RM0390: RCC, Embedded Flash, GPIO).
 *
 *   HSI 16 MHz / 8 * 168 / 2 = 168 MHz core; APB1 42 MHz, APB2 84 MHz; 5 wait states
 *
 * 168 MHz is what F405 and F446 reach at their reset voltage scale 1. The internal oscillator is within 1 % at room
 * temperature, enough for a serial line, and needs nothing on the board. Where the PLL does not lock (QEMU has none)
 * everything stays at 16 MHz. */
#ifndef STM32F4_H
#define STM32F4_H

#include "reg.h"

#define RCC_CR 0x40023800u
#define RCC_PLLCFGR 0x40023804u
#define RCC_CFGR 0x40023808u
#define RCC_AHB1ENR 0x40023830u
#define RCC_APB1ENR 0x40023840u
#define RCC_APB2ENR 0x40023844u
#define FLASH_ACR 0x40023C00u
#define GPIOA 0x40020000u
#define GPIOB 0x40020400u
enum { GPIO_MODER = 0x00, GPIO_PUPDR = 0x0C, GPIO_AFRL = 0x20 };

enum { PLL_M = 8, PLL_N = 168, PLL_P_2 = 0, PLL_Q = 7, PLL_R = 2 };

static inline void stm32f4_clock_start(void)
{
    *reg(RCC_PLLCFGR) = (uint32_t)PLL_M | (uint32_t)PLL_N << 6 | (uint32_t)PLL_P_2 << 16 | (uint32_t)PLL_Q << 24 |
                        (uint32_t)PLL_R << 28;
    *reg(RCC_CR) |= (uint32_t)1 << 24;                                 /* PLLON */
    if (reg_wait(RCC_CR, (uint32_t)1 << 25, (uint32_t)1 << 25) != 0) { /* PLLRDY */
        return;
    }
    *reg(FLASH_ACR) = 5u | 1u << 8 | 1u << 9 | 1u << 10; /* 5 wait states, prefetch, instruction and data cache */
    if (reg_wait(FLASH_ACR, 0xFu, 5u) != 0) {
        return;
    }
    *reg(RCC_CFGR) = 5u << 10 | 4u << 13;      /* PPRE1 / 4, PPRE2 / 2, still on HSI */
    *reg(RCC_CFGR) = 5u << 10 | 4u << 13 | 2u; /* SW: PLL */
    (void)reg_wait(RCC_CFGR, 3u << 2, 2u << 2);
}

static inline int stm32f4_is_fast(void)
{
    return (*reg(RCC_CFGR) & 3u << 2) == 2u << 2; /* SWS: PLL */
}

/* Enable a peripheral's clock. Reading back waits for it: it arrives two cycles late (F405 errata). */
static inline void stm32f4_enable(uintptr_t address, uint32_t bit)
{
    *reg(address) |= bit;
    (void)*reg(address);
}

/* Pin 0..7 of a port to an alternate function, with pull-up. */
static inline void stm32f4_alternate(uintptr_t port, uint32_t pin, uint32_t function)
{
    *reg(port + GPIO_AFRL) = (*reg(port + GPIO_AFRL) & ~(15u << (4u * pin))) | function << (4u * pin);
    *reg(port + GPIO_PUPDR) = (*reg(port + GPIO_PUPDR) & ~(3u << (2u * pin))) | 1u << (2u * pin);
    *reg(port + GPIO_MODER) = (*reg(port + GPIO_MODER) & ~(3u << (2u * pin))) | 2u << (2u * pin);
}

#endif
