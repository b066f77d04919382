/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of lg_depthwise_row_dsp for windows of 3x3, one channel after the other.
 *
 * Two columns of three rows, a pixel's bytes of two channels c0 and c1, are held as four words, an entry:
 *
 *   first    row 0 of c0, c1, row 1 of c0, c1     bytes, lowest first; of the left column
 *   second   the same of the right column
 *   last     row 2 of the left column, c0, c1, then of the right one
 *   step     twice the bytes from one output to the next, plus 1 in the last entry
 *
 * lg_depthwise_order_dsp writes all but the steps. SXTB16 makes of each the pair of one channel that SMLAD takes. Weights are doubled pairs of int16: rows 0 and 1 of the
 * left, the middle, the right column; of row 2 left and middle, then middle and right. */
#ifndef LG_DEPTHWISE_SLIDE_H
#define LG_DEPTHWISE_SLIDE_H

#include <stdint.h>

#include "lg_requant.h"

/* Columns that become entries, of four channels after the other; an odd last column stands in both places. The functions
 * know where the members are. */
typedef struct {
    const int8_t *a, *b, *c; /* rows 0, 1, 2: the first column's first channel */
    uint32_t odd;            /* columns % 2 */
    uint32_t step;           /* bytes from one column to the next */
    uint32_t *to;            /* entries of the first two channels, the next two's behind them */
    uint32_t apart;          /* bytes from the entries of two channels to those of the next two */
    uint32_t pairs;          /* step * (columns - odd) */
    uint32_t fours;          /* groups of channels, > 0 */
} lg_depthwise_order;

void lg_depthwise_order_dsp(const lg_depthwise_order *o);

typedef struct {
    const uint32_t *columns; /* entries of the first two channels */
    const int32_t *weights;  /* five words a channel */
    const lg_dsp_channel *channel;
    int8_t *out;           /* of the first channel; channels lie side by side */
    uint32_t columns_step; /* bytes from the entries of two channels to those of the next two */
    const lg_dsp_channel *last;
} lg_depthwise_slide;

/* An entry ends two windows a column apart, the second of which is left out where `step` of the last entry is 1, and
 * begins two. */
void lg_depthwise_slide1_dsp(const lg_depthwise_slide *s);
/* An entry ends one window and begins one. */
void lg_depthwise_slide2_dsp(const lg_depthwise_slide *s);

#endif
