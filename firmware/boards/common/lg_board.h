/* What a board gives to a program: five functions. The library never calls them. */
#ifndef LG_BOARD_H
#define LG_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Clocks, counter, host channel. First call of main. */
void lg_board_init(void);

/* Bytes from and to the host (semihosting console). Both block; both return how many bytes were moved:
 * fewer than `size` from read means that the host closed its side. */
size_t lg_board_read(void *data, size_t size);
size_t lg_board_write(const void *data, size_t size);

/* A counter that grows with executed instructions and wraps at 2^32; board.json gives instructions per tick.
 * Boards without one (board.json: "counter": null) return 0. Under QEMU these are instructions, not cycles. */
uint32_t lg_board_ticks(void);

/* End the program; the host sees `code` (0: fine). Returning from main does the same. */
void lg_board_exit(int code) __attribute__((noreturn));

#endif
