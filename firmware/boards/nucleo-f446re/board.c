/* SPDX-License-Identifier: Apache-2.0 */
/* NUCLEO-F446RE: 168 MHz from the internal oscillator; USART2 on PA2 and PA3 goes to the ST-LINK's serial port. */
#include "channel.h"
#include "dwt.h"
#include "lg_board.h"
#include "stm32_usart.h"
#include "stm32f4.h"
#include "uart.h"

#define USART2 0x40004400u
enum { HSI_HZ = 16000000, APB1_HZ = 42000000, TX = 2, RX = 3, AF_USART2 = 7 };

void lg_board_init(void)
{
    stm32f4_clock_start();
    dwt_start();
    channel_open();
}

uint32_t lg_board_ticks(void)
{
    return dwt_ticks();
}

void uart_open(void)
{
    stm32f4_enable(RCC_AHB1ENR, 1u); /* GPIOA */
    stm32f4_alternate(GPIOA, TX, AF_USART2);
    stm32f4_alternate(GPIOA, RX, AF_USART2);
    stm32f4_enable(RCC_APB1ENR, (uint32_t)1 << 17);
    stm32_usart_start(USART2, stm32f4_is_fast() ? APB1_HZ : HSI_HZ);
}

void uart_put(uint8_t byte)
{
    stm32_usart_put(USART2, byte);
}

uint8_t uart_get(void)
{
    return stm32_usart_get(USART2);
}

void uart_drain(void)
{
    stm32_usart_drain(USART2);
}
