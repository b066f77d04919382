/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of lg_conv_row_dsp, for two, three and four windows in a scratch buffer. */
#ifndef LG_CONV_PASS_H
#define LG_CONV_PASS_H

#include <stdint.h>

#include "lg_requant.h"

/* What becomes of the sums: outputs; or twice each is added to sums[channel][window]; or, of four windows, the largest
 * becomes the one output. */
enum { LG_OUTPUTS, LG_HELD, LG_LARGEST };

/* Two channels after the other of two, three or four windows. The functions know where the members are. */
typedef struct {
    const uint32_t *x, *weights;
    uint32_t entry;        /* quads % 8 */
    const uint32_t *end;   /* of x */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next two channels */
    const lg_dsp_channel *channel, *last;
    int8_t *out; /* of the first window; the next one's is out_c bytes on */
    uint32_t out_c;
    uint32_t ending;
    int32_t *sums; /* LG_HELD */
} lg_conv_pass;

void lg_conv_pass2_dsp(const lg_conv_pass *p);
void lg_conv_pass3_dsp(const lg_conv_pass *p);
void lg_conv_pass4_dsp(const lg_conv_pass *p);

#endif
