/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move values: resizing, slices, parts, transposition. */
#ifndef LG_MOVES_H
#define LG_MOVES_H

#include <stdint.h>

#include "lg_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Some columns and channels of a row: out[x][c] = in[columns[x]][first + c * step]. */
typedef struct {
    uint16_t pixels, channels; /* of a row of the output */
    uint16_t in_channels;
    uint16_t first;
    int16_t step;            /* 1: channels that follow each other */
    const uint16_t *columns; /* [pixels] */
} lg_select;

/* out: pixels * channels bytes, apart from in. */
void lg_select_row(const lg_select *layer, const int8_t *in, int8_t *out);

/* RESIZE_BILINEAR, between two rows of the input and two columns each:
 *   out[x][c] = (sum of the four, each times its share of 2^20) / 2^20, half away from zero
 * where the shares along a side are 2^10 - fraction of the first and fraction of the last. */
typedef struct {
    uint16_t first, last;
    int16_t fraction;
} lg_between;

typedef struct {
    uint16_t pixels, channels; /* of a row of the output */
    const lg_between *columns; /* [pixels] */
} lg_bilinear;

/* above, below: the first and the last row; fraction: of the row. */
void lg_bilinear_row(const lg_bilinear *layer, const int8_t *above, const int8_t *below, int32_t fraction,
                     int8_t *out);

/* TRANSPOSE, a row of the input at a time. Byte (x, c) of row y goes to byte y * y_step + x * x_step + c * c_step of
 * the whole output, counted without padding. */
typedef struct {
    uint16_t pixels, channels; /* of a row of the input */
    uint32_t y_step, x_step, c_step;
} lg_transpose;

/* map: the output, rows = height. */
void lg_transpose_row(const lg_transpose *layer, const lg_map *map, int8_t *arena, uint32_t y, const int8_t *in);

#ifdef __cplusplus
}
#endif

#endif
