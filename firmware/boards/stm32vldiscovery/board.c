/* SPDX-License-Identifier: Apache-2.0 */
/* STM32VLDISCOVERY (STM32F100, reference manual RM0041): the 24-bit SysTick of the core, with its wraps counted, as the
 * counter; USART1 on PA9 and PA10. 24 MHz from the internal oscillator, 8 MHz / 2 * 6; 8 MHz where the PLL does not
 * lock (QEMU has none). */
#include "channel.h"
#include "lg_board.h"
#include "stm32_usart.h"
#include "systick.h"
#include "uart.h"

#define RCC_CR 0x40021000u
#define RCC_CFGR 0x40021004u
#define RCC_APB2ENR 0x40021018u
#define GPIOA 0x40010800u
#define USART1 0x40013800u
enum { CRH = 0x04, BSRR = 0x10 };
enum { HSI_HZ = 8000000, PLL_HZ = 24000000 };

static void clock_start(void)
{
    *reg(RCC_CFGR) = 4u << 18;         /* PLLMUL: 6, of HSI / 2 */
    *reg(RCC_CR) |= (uint32_t)1 << 24; /* PLLON */
    if (reg_wait(RCC_CR, (uint32_t)1 << 25, (uint32_t)1 << 25) == 0) {
        *reg(RCC_CFGR) = 4u << 18 | 2u;
        (void)reg_wait(RCC_CFGR, 3u << 2, 2u << 2); /* SWS: PLL */
    }
}

void lg_board_init(void)
{
    clock_start();
    channel_open();
    systick_start();
}

uint32_t lg_board_ticks(void)
{
    return systick_ticks();
}

void uart_open(void)
{
    *reg(RCC_APB2ENR) |= 1u << 2 | 1u << 14;                    /* GPIOA, USART1 */
    *reg(GPIOA + BSRR) = 1u << 10;                              /* pull PA10 up, not down */
    *reg(GPIOA + CRH) = (*reg(GPIOA + CRH) & ~0xFF0u) | 0x8B0u; /* PA10 input with pull, PA9 alternate push-pull */
    stm32_usart_start(USART1, (*reg(RCC_CFGR) & 3u << 2) == 2u << 2 ? PLL_HZ : HSI_HZ);
}

void uart_put(uint8_t byte)
{
    stm32_usart_put(USART1, byte);
}

uint8_t uart_get(void)
{
    return stm32_usart_get(USART1);
}

void uart_drain(void)
{
    stm32_usart_drain(USART1);
}
