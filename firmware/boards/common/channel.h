/* SPDX-License-Identifier: Apache-2.0 */
/* The host channel under lg_board_read, lg_board_write and lg_board_exit: semihosting (host_channel.c), or a serial
 * line (uart_channel.c) where everything is compiled with LG_CHANNEL_UART. */
#ifndef CHANNEL_H
#define CHANNEL_H

/* Open it; before the first lg_board_read or lg_board_write. */
void channel_open(void);

#endif
