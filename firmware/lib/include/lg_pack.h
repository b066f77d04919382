/* SPDX-License-Identifier: Apache-2.0 */
/* Packed level lines: how many-level pixels lie in bytes, and the way back.
 *
 * Pixel 0 of a line is in the least significant digit of byte 0. A line starts on a byte; the digits
 * of pixels past the end of the line are those of level 0, so that equal lines are equal bytes.
 *
 *   LG_PACK_S8     1 pixel  a byte, int8_t, any level
 *   LG_PACK_2BIT   4 pixels a byte, two's complement in 2 bits: 0, 1, 3 = level 0, 1, -1       (3 levels)
 *   LG_PACK_BASE3  5 pixels a byte, byte = sum_i (level_i + 1) * 3^i, 0..242                   (3 levels)
 *   LG_PACK_BASE5  3 pixels a byte, byte = sum_i (level_i + 2) * 5^i, 0..124                   (3 or 5 levels)
 *   LG_PACK_4BIT   2 pixels a byte, two's complement in 4 bits, pixel 0 in the low nibble      (3, 5 or 7 levels)
 *
 * Densest for 3 levels is BASE3 (1.6 bit a pixel), for 5 BASE5 (2.67), for 7 4BIT (4): 7^2 = 49 fits no
 * smaller field and 7^3 no byte. */
#ifndef LG_PACK_H
#define LG_PACK_H

#include <stdint.h>

#include "lg_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { LG_PACK_S8 = 0, LG_PACK_2BIT = 1, LG_PACK_BASE3 = 2, LG_PACK_BASE5 = 3, LG_PACK_4BIT = 4 } lg_packing;

/* Bytes of a packed line of `width` pixels; 0 for an unknown packing. */
uint32_t lg_packed_bytes(lg_packing packing, uint32_t width);

/* Highest |level| the packing can hold; 0 for an unknown packing. */
int32_t lg_packing_limit(lg_packing packing);

/* levels: int8_t[width], each within +-lg_packing_limit; packed: lg_packed_bytes(packing, width) bytes. */
lg_status lg_pack_levels(lg_packing packing, const int8_t *levels, uint32_t width, uint8_t *packed);

/* The inverse. packed and levels must not overlap. Bytes that lg_pack_levels never writes are no error and no
 * reading out of bounds; they give levels as follows:
 *   S8 0x80: -128.  2BIT digit 2: -2.  4BIT digit 8: -8.
 *   BASE3 243..255, BASE5 125..255: the lowest 5 (3) digits, levels within the limit, the overflow is lost. */
lg_status lg_unpack_levels(lg_packing packing, const uint8_t *packed, uint32_t width, int8_t *levels);

#ifdef __cplusplus
}
#endif

#endif
