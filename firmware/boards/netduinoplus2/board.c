/* SPDX-License-Identifier: Apache-2.0 */
/* Netduino Plus 2 (STM32F405): TIM2, 32 bits, as the counter; USART1 on PB6 and PB7. */
#include "channel.h"
#include "lg_board.h"
#include "stm32_usart.h"
#include "stm32f4.h"
#include "uart.h"

#define TIM2 0x40000000u
#define USART1 0x40011000u
enum { CR1 = 0x00, EGR = 0x14, CNT = 0x24, PSC = 0x28, ARR = 0x2C };
enum { HSI_HZ = 16000000, APB2_HZ = 84000000, TX = 6, RX = 7, AF_USART1 = 7 };

void lg_board_init(void)
{
    stm32f4_clock_start();
    channel_open();
    stm32f4_enable(RCC_APB1ENR, 1u); /* TIM2 */
    *reg(TIM2 + PSC) = 255u;
    *reg(TIM2 + ARR) = 0xFFFFFFFFu;
    *reg(TIM2 + EGR) = 1u;
    *reg(TIM2 + CR1) = 1u;
}

uint32_t lg_board_ticks(void)
{
    return *reg(TIM2 + CNT);
}

void uart_open(void)
{
    stm32f4_enable(RCC_AHB1ENR, 2u); /* GPIOB */
    stm32f4_alternate(GPIOB, TX, AF_USART1);
    stm32f4_alternate(GPIOB, RX, AF_USART1);
    stm32f4_enable(RCC_APB2ENR, 1u << 4);
    stm32_usart_start(USART1, stm32f4_is_fast() ? APB2_HZ : HSI_HZ);
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
