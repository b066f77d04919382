/* SPDX-License-Identifier: Apache-2.0 */
/* lg_board_read, lg_board_write and lg_board_exit over the board's serial line.
 *
 * The line never ends, so lg_board_read returns only with all it was asked for. Nothing is buffered here: a program
 * that is busy for longer than the receiver's own memory lasts loses what comes meanwhile, so the host asks and waits
 * for the answer; what comes before lg_board_init is lost, too. lg_board_exit writes the line "exit <code & 255>";
 * after code 0 the chip is reset and the program starts again, after any other it stands still. */
#ifdef LG_CHANNEL_UART
#include "channel.h"
#include "lg_board.h"
#include "reg.h"
#include "uart.h"

#define AIRCR 0xE000ED0Cu

void channel_open(void)
{
    uart_open();
}

size_t lg_board_read(void *data, size_t size)
{
    uint8_t *const bytes = data;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = uart_get();
    }
    return size;
}

size_t lg_board_write(const void *data, size_t size)
{
    const uint8_t *const bytes = data;
    for (size_t i = 0; i < size; i++) {
        uart_put(bytes[i]);
    }
    return size;
}

void lg_board_exit(int code)
{
    (void)lg_board_write("\nexit ", 6u);
    for (uint32_t place = 100u; place > 0u; place /= 10u) {
        const uint32_t digits = ((uint32_t)code & 0xFFu) / place;
        if (digits > 0u || place == 1u) {
            uart_put((uint8_t)('0' + digits % 10u));
        }
    }
    uart_put('\n');
    uart_drain();
    if (code == 0) {
        *reg(AIRCR) = 0x05FA0004u; /* SYSRESETREQ, with its key */
    }
    for (;;) {
    }
}
#else
typedef char uart_channel_is_not_compiled;
#endif
