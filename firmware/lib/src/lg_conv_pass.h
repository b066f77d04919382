/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of lg_conv_row_dsp: four windows into a scratch buffer, and two, three or four windows that lie in one. */
#ifndef LG_CONV_PASS_H
#define LG_CONV_PASS_H

#include <stdint.h>

#include "lg_requant.h"

/* What becomes of the sums: outputs, of which those below the zero point need not be exact (LG_RECTIFIED) or all are; or
 * twice each is added to sums[channel][window]; or, of four windows, the largest becomes the one output. */
enum { LG_RECTIFIED, LG_OUTPUTS, LG_HELD, LG_LARGEST };

/* Two channels after the other of two, three or four windows. The functions know where the members are. */
typedef struct {
    const uint32_t *x, *weights;
    uint32_t entry;        /* quads % 12 */
    const uint32_t *end;   /* of x */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next two channels */
    const lg_dsp_channel *channel, *last;
    int8_t *out; /* of the first window; the next one's is out_c bytes on */
    uint32_t out_c;
    uint32_t ending;
    int32_t *sums; /* LG_HELD */
} lg_conv_pass;

/* Rows of the first of four neighbours, and where its words go; all rows of it are one run. The function knows where the
 * members are. */
typedef struct {
    const int8_t *const *rows; /* the function moves it on to `end` */
    uint32_t x, step;          /* bytes into each row, and from one neighbour to the next */
    uint32_t row_step;         /* bytes from one pointer of `rows` to the next */
    uint32_t quads;            /* of a row, > 0 */
    const int8_t *const *end;
    uint32_t *to;
} lg_conv_widening;

/* Widens the quads of four neighbours (lg_dsp_sum.h). */
void lg_conv_widen4_dsp(lg_conv_widening *w);
/* The same where a row is three pixels of `step` bytes, a multiple of four: what neighbours share is widened once. */
void lg_conv_slide4_dsp(lg_conv_widening *w);

void lg_conv_pass2_dsp(const lg_conv_pass *p);
void lg_conv_pass3_dsp(const lg_conv_pass *p);
void lg_conv_pass4_dsp(const lg_conv_pass *p);

#endif
