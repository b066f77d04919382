/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs of the convolutions of the DSP extension from their sums. */
#ifndef LG_OUTPUT_DSP_H
#define LG_OUTPUT_DSP_H

#include "lg_dsp.h"
#include "lg_requant.h"

#ifdef LG_DSP

/* From twice the sum without the bias, where the shift is in -22..-1. */
static inline int8_t lg_output_usual_dsp(const lg_dsp_channel *c, int32_t doubled)
{
    const int32_t x2 = (int32_t)((uint32_t)doubled + (uint32_t)c->bias);
    return (int8_t)lg_ssat8(lg_rescale(x2, c->multiplier, c->offset, c->right));
}

/* The same for any shift; |acc| * 2^max(shift, 0) < 2^30. Within int8 alone. */
static inline int8_t lg_output_dsp(const lg_dsp_channel *c, int32_t doubled)
{
    const int32_t right = c->right;
    if (right >= 1 && right <= LG_MOST_RIGHT) {
        return lg_output_usual_dsp(c, doubled);
    }
    const int32_t x2 = (int32_t)((uint32_t)doubled + (uint32_t)c->bias);
    const int32_t scaled = lg_requant_fast(lg_asr(x2, 1), c->multiplier, -right);
    return lg_output_s8(scaled, c->offset, INT8_MIN, INT8_MAX);
}

#endif
#endif
