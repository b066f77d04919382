/* SPDX-License-Identifier: Apache-2.0 */
/* USART of the STM32F1, F2 and F4 (reference manuals RM0041, RM0090, RM0390: USART registers), polled. */
#ifndef STM32_USART_H
#define STM32_USART_H

#include "reg.h"
#include "uart.h"

enum { USART_SR = 0x00, USART_DR = 0x04, USART_BRR = 0x08, USART_CR1 = 0x0C };
enum { USART_RXNE = 1 << 5, USART_TC = 1 << 6, USART_TXE = 1 << 7 };
enum { USART_RE = 1 << 2, USART_TE = 1 << 3, USART_UE = 1 << 13 };

/* clock: Hz of the bus the USART hangs on; oversampled by 16. */
static inline void stm32_usart_start(uintptr_t base, uint32_t clock)
{
    *reg(base + USART_BRR) = (clock + UART_BAUD / 2u) / UART_BAUD;
    *reg(base + USART_CR1) = USART_UE | USART_TE | USART_RE;
}

static inline void stm32_usart_put(uintptr_t base, uint8_t byte)
{
    while ((*reg(base + USART_SR) & USART_TXE) == 0u) {
    }
    *reg(base + USART_DR) = byte;
}

/* Reading SR, then DR, clears an overrun, too. */
static inline uint8_t stm32_usart_get(uintptr_t base)
{
    while ((*reg(base + USART_SR) & USART_RXNE) == 0u) {
    }
    return (uint8_t)*reg(base + USART_DR);
}

static inline void stm32_usart_drain(uintptr_t base)
{
    while ((*reg(base + USART_SR) & USART_TC) == 0u) {
    }
}

#endif
