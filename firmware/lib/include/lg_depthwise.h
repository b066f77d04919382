/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D, one row of output at a time, bit for bit the TFLite reference (BUILTIN_REF).
 *
 *   c = channel * multiplier + m,   m < multiplier
 *   acc[c]    = bias[c] + sum over ky, kx of rows[ky * row_step][x * x_step + kx * tap_step + channel] * w[ky][kx][c]
 *   out[x][c] = clamp(requantize(acc[c]) + out_zero_point, act_min, act_max)            (double rounding, lg_requant.h)
 *
 * Zero point, padding, rows (here (kernel_h - 1) * row_step + 1 pointers), slack and out as in lg_conv.h. */
#ifndef LG_DEPTHWISE_H
#define LG_DEPTHWISE_H

#include <stdint.h>

#include "lg_requant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pairs of taps that lg_depthwise_row_dsp takes: kernel_h / 2 * kernel_w, and (kernel_w + 1) / 2 in an odd last row. */
enum { LG_DEPTHWISE_PAIRS = 48 };

typedef struct {
    uint16_t out_w;
    uint16_t in_c, multiplier; /* out_c = in_c * multiplier */
    uint16_t kernel_h, kernel_w;
    uint16_t row_step; /* dilation_h */
    uint16_t tap_step; /* dilation_w * in_c */
    uint16_t x_step;   /* stride_w * in_c */
    int16_t out_zero_point;
    int8_t act_min, act_max;
    uint8_t sliding;   /* _dsp: the layout of the weights is that of sliding windows */
    uint8_t any_shift; /* _mve: not all shifts are in -22..-1, which takes longer */
    const void *weights;
    const void *channels; /* [out_c] of lg_channel, for _dsp of lg_dsp_channel, for _mve as below */
} lg_depthwise;

/* weights: int8_t [kernel_h][kernel_w][out_c] */
void lg_depthwise_row(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out);
/* Multiplier 1 and |acc| * 2^max(shift, 0) < 2^30 only; layouts of their own (export/plan/layouts.py), both int32_t:
 *   lg_depthwise_row_dsp  M4, M7, M33   doubled int16 pairs; of windows of 3x3 that slide by one or two taps, where all
 *                                       shifts are in -22..-1, one channel after the other, else four interleaved.
 *                                       At most LG_DEPTHWISE_PAIRS pairs
 *   lg_depthwise_row_mve  M55           int8 of sixteen channels a group, each -127..127; of 1, 2, 4 or 8 channels again
 *                                       and again. Channels are int32_t [groups][3][16]: biases, multipliers, shifts of
 *                                       channels 0, 4, 8, 12, 1, 5 ... 15 of each group */
void lg_depthwise_row_dsp(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out);
void lg_depthwise_row_mve(const lg_depthwise *layer, const int8_t *const *rows, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
