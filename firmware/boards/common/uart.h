/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line, polled, UART_BAUD baud, 8N1: what a board gives to uart_channel.c. */
#ifndef UART_H
#define UART_H

#include <stdint.h>

#ifdef LG_BAUD
#define UART_BAUD LG_BAUD
#else
#define UART_BAUD 115200u
#endif

/* Clock, pins and baud rate of the line. The core's clock is up. */
void uart_open(void);

/* One byte; both block. */
void uart_put(uint8_t byte);
uint8_t uart_get(void);

/* Wait until the last bit has left the transmitter. */
void uart_drain(void);

#endif
