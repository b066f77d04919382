/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of lg_conv_row_dsp, for two, three and four windows in a scratch buffer. */
#ifndef LG_CONV_PASS_H
#define LG_CONV_PASS_H

#include <stdint.h>

#include "lg_requant.h"

/* Two channels after the other of two, three or four windows. The functions know where the members are. */
typedef struct {
    const uint32_t *x, *weights;
    uint32_t entry;        /* quads % 8 */
    const uint32_t *end;   /* of x */
    uint32_t weights_step; /* bytes from the weights behind these to those of the next two channels */
    const lg_dsp_channel *channel, *last;
    int8_t *out; /* of the first window; the next one's is out_c bytes on */
    uint32_t out_c;
    int32_t *sums; /* not NULL: in place of outputs, twice the sums of each channel's windows are added here */
} lg_conv_pass;

void lg_conv_pass2_dsp(const lg_conv_pass *p);
void lg_conv_pass3_dsp(const lg_conv_pass *p);
void lg_conv_pass4_dsp(const lg_conv_pass *p);

#endif
