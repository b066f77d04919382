/* SPDX-License-Identifier: Apache-2.0 */
/* What a board gives to a program: six functions, and a seventh where it has a camera. The library never calls them. */
#ifndef LG_BOARD_H
#define LG_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Clocks, counter, host channel. First call of main. */
void lg_board_init(void);

/* Bytes from and to the host: semihosting console or serial line. Both block; both return how many bytes were moved:
 * fewer than `size` from read means that the host closed its side, which a serial line cannot. */
size_t lg_board_read(void *data, size_t size);
size_t lg_board_write(const void *data, size_t size);

/* A counter that grows and wraps at 2^32. board.json says what it counts ("unit"): executed instructions under QEMU,
 * cycles of the core on real boards; and how many of them a tick is. Boards without one return 0. */
uint32_t lg_board_ticks(void);

/* End the program; the host sees `code` (0: fine). Returning from main does the same. */
void lg_board_exit(int code) __attribute__((noreturn));

/* Wait for row `row` of the camera's frame and write `codes` of its codes to `line`, in the sensor's width: uint8_t up
 * to 8 bits, else uint16_t. Row 0 waits for the next frame to begin; later rows must be asked for in rising order and
 * before they begin. 0, or why there is no row; after an error begin again with row 0. The window lies in the middle of the
 * sensor; camera_window.h says how many rows it has. */
enum {
    LG_CAMERA_NONE = -1,      /* the board has no camera */
    LG_CAMERA_NO_ANSWER = -2, /* nothing answers on its control bus */
    LG_CAMERA_OTHER = -3,     /* something else than the expected sensor answers */
    LG_CAMERA_NO_FRAME = -4,  /* no frame begins */
    LG_CAMERA_NO_ROW = -5,    /* the frame ends before the row, or the row before its codes */
    LG_CAMERA_LATE = -6,      /* the row, or one after it, began before it was asked for */
    LG_CAMERA_SIZE = -7       /* the sensor has no such window, or no codes were asked for */
};
int lg_board_camera_line(void *line, uint32_t codes, uint32_t row);

/* From the next frame that begins on, expose it for `lines` times the time of a line, at gain 1; 0: as the camera itself
 * decides, which is how it begins. The host keeps to what board.json allows. Only a collector calls this
 * (program/collect.c). 0, or LG_CAMERA_NONE. */
int lg_board_camera_expose(uint32_t lines);

#endif
